"""Outputs that have no axis of samples: one answer for all samples of a batch."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import numpy as np

from .errors import AgentError


def of_samples(
    name: str, array: np.ndarray, size: int, whole: Mapping[str, Sequence[Any]]
) -> np.ndarray:
    """The array with the sample as its first axis.

    ``whole``: declared shape by name, of outputs without such an axis; one that has that shape is
    each sample's answer, its first axis of size 1 dropped. Raises AgentError naming the output.
    """
    shape = whole.get(name)
    if shape is not None and _fits(shape, array.shape):
        one = array if array.shape[:1] == (1,) else array[np.newaxis]
        return np.repeat(one, size, axis=0)
    if array.ndim == 0 or array.shape[0] != size:
        raise AgentError(
            "ModelError",
            "output has shape {} for {} samples".format(list(array.shape), size),
            name,
            "the first axis of every output must be the sample",
        )
    return array


def _fits(said: Sequence[Any], found: Sequence[int]) -> bool:
    if len(said) != len(found):
        return False
    return all(isinstance(n, str) or n == m for n, m in zip(said, found))  # noqa: B905 - Python 3.8
