"""Arrays that lie in the store already: put there by the caller's own process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.schema.errors import DataError, did_you_mean
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

    def read(self, name: str) -> np.ndarray[Any, Any]:
        """One array. Raises DataError for a name that is not there."""
        if name not in self._refs:
            raise DataError(
                f"no array '{name}'", where=str(self.path), hint=did_you_mean(name, self.names)
            )
        return self._store.get_array(self._refs[name])
