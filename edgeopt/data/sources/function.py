"""Samples that a function of the user's yields: ``FILE.py:CALLABLE`` beside the recipe.

The function gives arrays (a tuple, or a dict by name), or an iterable of samples. It may take
the name of a split.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.data.gather import Tell, blamed, check_counts, joined, named
from edgeopt.data.source import chosen_rows, cut
from edgeopt.data.splits import Selection
from edgeopt.formats.torch.code import function_of
from edgeopt.schema.errors import DataError, ModelError

Array = np.ndarray[Any, Any]
STREAM = "samples"  # the split of a function that knows none
MOST_SAMPLES = 1_000_000


class Function:
    """A called function; ``inputs`` name the parts of samples that are tuples."""

    def __init__(
        self, root: Path, spec: str, selection: Selection, inputs: Sequence[str] | None, tell: Tell
    ) -> None:
        file, _, name = spec.rpartition(":")
        self.path = Path(spec)
        try:
            function = function_of(root, file, name)
        except ModelError as error:
            raise DataError(error.what, where=error.where or spec, hint=error.hint) from error
        given = self._called(function, selection.split)
        self._split, self._whole = selection.split, True
        if _is_whole(given):
            self._arrays = named(given, inputs, spec)
        else:
            self._arrays, self._whole = self._streamed(given, selection, inputs, tell)
        check_counts(self._arrays, spec)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(f"{self._split}.{name}" for name in self._arrays)

    def take(self, selection: Selection, arrays: Sequence[str]) -> tuple[dict[str, Array], range]:
        """The selected samples. Raises DataError."""
        chosen = {name: self._arrays[name] for name in arrays}
        if self._whole:
            return cut(self.path, chosen, selection)
        return chosen, range(len(next(iter(chosen.values()))))

    def _called(self, function: Callable[..., Any], split: str) -> Any:
        takes = bool(inspect.signature(function).parameters)
        if not takes and split != STREAM:
            raise DataError(
                f"the function takes no split, but '{split}' was requested",
                where=str(self.path),
                hint="let it take one, or give counts: splits: {validation: 1000, ...}",
            )
        try:
            return function(split) if takes else function()
        except Exception as error:
            raise blamed(error, str(self.path)) from error

    def _streamed(
        self, given: Any, selection: Selection, inputs: Sequence[str] | None, tell: Tell
    ) -> tuple[dict[str, Array], bool]:
        """Arrays of an iterable of samples; one that is cut from the front is not read further."""
        if not isinstance(given, Iterable):
            raise DataError(f"gives a {type(given).__name__}, not samples", where=str(self.path))
        forward = selection.step in (None, 1) and (selection.start or 0) >= 0
        if selection.stop is None or selection.stop < 0 or not forward:
            return joined(_singly(given), inputs, str(self.path), tell, MOST_SAMPLES), True
        start = selection.start or 0
        items = (item for index, item in enumerate(_singly(given)) if index >= start)
        arrays = joined(items, inputs, str(self.path), tell, selection.stop - start)
        n = len(next(iter(arrays.values())))
        if n < selection.stop - start:
            chosen_rows(self.path, selection, start + n)
            raise DataError(f"yields {start + n:,} samples, '{selection}' asks for more",
                            where=str(self.path))  # fmt: skip
        return arrays, False


def _is_whole(given: Any) -> bool:
    """Whether it is arrays, rather than samples one by one."""
    if isinstance(given, Mapping):
        return True
    several = given if isinstance(given, tuple) else (given,)
    return len(several) > 0 and all(isinstance(each, np.ndarray) or hasattr(each, "detach")
                                    for each in several)  # fmt: skip


def _singly(given: Iterable[Any]) -> Iterator[tuple[Any, bool]]:
    return ((item, False) for item in given)
