"""What a source of samples is: names of its arrays, and the selected samples of some of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgeopt.data.splits import Selection
from edgeopt.schema.errors import DataError

Array = np.ndarray[Any, Any]


class Source(Protocol):
    """Where arrays come from; ``path`` is what errors name, ``names`` are ``SPLIT.ARRAY``."""

    path: Path

    @property
    def names(self) -> tuple[str, ...]: ...

    def take(self, selection: Selection, arrays: Sequence[str]) -> tuple[dict[str, Array], range]:
        """The selected samples by array, and which of the split's they are. Raises DataError."""
        ...


def cut(
    path: Path, whole: dict[str, Array], selection: Selection
) -> tuple[dict[str, Array], range]:
    """The selected samples of whole arrays. Raises DataError for none, or lengths that differ."""
    lengths = {f"{selection.split}.{name}": len(array) for name, array in whole.items()}
    if len(set(lengths.values())) != 1:
        told = ", ".join(f"'{name}' {n:,}" for name, n in lengths.items())
        raise DataError(f"arrays of one split differ in samples: {told}", where=str(path))
    rows = chosen_rows(path, selection, next(iter(lengths.values())))
    return {n: np.ascontiguousarray(a[selection.slice]) for n, a in whole.items()}, rows


def chosen_rows(path: Path, selection: Selection, n: int) -> range:
    """Which of ``n`` samples are selected. Raises DataError for none."""
    rows = selection.indices(n)
    if not rows:
        raise DataError(
            f"'{selection}' selects no sample: split '{selection.split}' has {n:,}",
            where=str(path),
        )
    return rows
