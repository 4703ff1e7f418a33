"""What a pass must know of a live module and its samples: read, never changed."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgeopt.data.gather import LABEL, Array, check_counts, joined, named
from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.schema.errors import DataError, ModelError

ROLES = ("train", "validation", "calibration")
EVERY = 10  # of one source of samples, every tenth validates where both are needed
MOST_SAMPLES = 1 << 20  # read of one loader

Splits = dict[str, dict[str, Array]]


def read_splits(data: Any, module: Any, wanted: Sequence[str]) -> Splits:
    """``{split: {array: (n, ...)}}`` of what a caller gives; labels are the array ``label``.

    Raises DataError for a split that is wanted and not given, naming batch and input otherwise.
    """
    if data is None:
        if wanted:
            raise DataError(f"no samples; the pass reads {', '.join(wanted)}")
        return {}
    names = _input_names(module)
    if isinstance(data, Mapping) and data and set(data) <= set(ROLES):
        found = {split: _gathered(each, names, split) for split, each in data.items()}
        for split in wanted:
            if split not in found:
                raise DataError(f"no '{split}' samples", hint=f"give {{'{split}': ...}}")
        return found
    whole = _gathered(data, names, "data")
    if not {"train", "validation"} <= set(wanted):
        return dict.fromkeys(wanted, whole)
    held = np.arange(len(next(iter(whole.values())))) % EVERY == EVERY - 1
    if not held.any():
        raise DataError(f"{len(held)} samples are too few to train and to validate")
    cut = {"validation": held, "train": ~held, "calibration": ~held}
    return {split: {n: a[cut[split]] for n, a in whole.items()} for split in wanted}


def described(module: Any, splits: Splits) -> Description:
    """What the torch format would say of a module in evaluation mode, by two of its runs."""
    from edgeopt.formats.layout import image_layout
    from edgeopt.formats.torch.module import run

    if not splits:
        return Description(format="torch", signature=Signature(inputs=(), outputs=()))
    arrays = {n: a for n, a in next(iter(splits.values())).items() if n != LABEL}
    where = type(module).__name__
    two, three = (
        run(module, {n: np.zeros((count, *a.shape[1:]), a.dtype) for n, a in arrays.items()}, where)
        for count in (2, 3)
    )
    inputs = tuple(
        Tensor(name=n, dtype=str(a.dtype), shape=(s := ("batch", *a.shape[1:])),
               layout=image_layout(list(s)))
        for n, a in arrays.items()
    )  # fmt: skip
    outputs = tuple(
        Tensor(name=n, dtype=str(a.dtype), shape=tuple(
            x if x == y else "batch" if axis == 0 else f"{n}.{axis}"
            for axis, (x, y) in enumerate(zip(a.shape, three[n].shape, strict=True))))
        for n, a in two.items()
    )  # fmt: skip
    signature = Signature(inputs=inputs, outputs=outputs)
    return Description(format="torch", signature=signature, facts=frozenset({"float32"}))


def _input_names(module: Any) -> list[str]:
    """The parameters of ``forward`` that must be given. Raises ModelError where none has a name."""
    found = [
        name
        for name, each in inspect.signature(module.forward).parameters.items()
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
        and each.default is each.empty
    ]
    if not found:
        raise ModelError("forward names no input", where=type(module).__name__)
    return found


def _gathered(data: Any, names: Sequence[str], where: str) -> dict[str, Array]:
    """The arrays of one source. Raises DataError."""
    import torch

    array = torch.Tensor | np.ndarray
    whole = isinstance(data, Mapping | array) or (
        isinstance(data, tuple | list) and all(isinstance(each, array) for each in data)
    )
    if whole:
        found = named((data,) if isinstance(data, array) else data, names, where)
    else:
        found = joined(_batches(data, where), names, where, lambda _count: None, MOST_SAMPLES)
    check_counts(found, where)
    return found


def _batches(data: Any, where: str) -> Iterator[tuple[Any, bool]]:
    """(item, whether it is a batch) of a loader or a dataset."""
    from torch.utils.data import Dataset

    if isinstance(data, Dataset) and hasattr(data, "__len__"):
        yield from ((data[index], False) for index in range(len(data)))
    elif hasattr(data, "__iter__"):
        yield from ((item, True) for item in data)
    else:
        raise DataError(f"cannot read samples of a {type(data).__name__}", where=where)
