"""Arrays that lie in the store already: put there by the caller's own process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.data.source import cut
from edgeopt.data.splits import Selection
from edgeopt.schema.job import ArrayRef
from edgeopt.store import Store


class Kept:
    """Arrays by ``SPLIT.ARRAY``, as refs into the store."""

    path = Path("data")  # what errors name: there is no file

    def __init__(self, arrays: Mapping[str, Any], store: Store) -> None:
        self._refs = {name: ArrayRef.model_validate(ref) for name, ref in arrays.items()}
        self._store = store

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(self._refs)

    def take(
        self, selection: Selection, arrays: Sequence[str]
    ) -> tuple[dict[str, np.ndarray[Any, Any]], range]:
        """The selected samples. Raises DataError."""
        refs = {name: self._refs[f"{selection.split}.{name}"] for name in arrays}
        return cut(self.path, {n: self._store.get_array(ref) for n, ref in refs.items()}, selection)
