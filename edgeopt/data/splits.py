"""Splits of an archive, by the names of its arrays, and selections of one, ``train[:512]``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from edgeopt.schema.base import Noun
from edgeopt.schema.errors import UsageError

_BOUND = r"\s*([+-]?[0-9]+)?\s*"
_SELECTION = re.compile(
    rf"(?P<split>[A-Za-z_][\w-]*)(?:\s*\[{_BOUND}:{_BOUND}(?::{_BOUND})?\])?", re.ASCII
)
_ONE = re.compile(r"(?P<split>[A-Za-z_][\w-]*)\s*\[\s*(?P<index>[0-9]+)\s*\]", re.ASCII)
_IN_SPLIT = re.compile(r"(?P<split>[A-Za-z_][\w-]*)\.(?P<array>.+)", re.ASCII)
ALIASES = {"val": "validation", "valid": "validation", "calib": "calibration"}
USUAL = ("calibration", "validation", "test", "train", *ALIASES)
PLAIN = ("validation", "samples")  # what the one split of plain arrays is called
EXAMPLE = "a selection is SPLIT or SPLIT[start:stop:step], e.g. 'train[:512]'"


class Selection(Noun):
    """A split and a slice of it that means what Python's means."""

    split: str
    start: int | None = None
    stop: int | None = None
    step: int | None = None

    @property
    def slice(self) -> slice:
        """The slice along the sample axis."""
        return slice(self.start, self.stop, self.step)

    def indices(self, n: int) -> range:
        """Which of ``n`` samples are selected, in order."""
        return range(n)[self.slice]

    def __str__(self) -> str:
        bounds = [self.start, self.stop, self.step]
        if bounds == [None, None, None]:
            return self.split
        text = ["" if bound is None else str(bound) for bound in bounds]
        return f"{self.split}[{':'.join(text if self.step is not None else text[:2])}]"


def by_split(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Split -> array -> name in the archive, of arrays named ``SPLIT.ARRAY``.

    An archive in which no array is named so is one split, of the names in ``PLAIN``. A number
    after the dot is part of a plain name, such as ``input.1``, unless a usual split precedes it.
    """
    given, splits = list(names), dict[str, dict[str, str]]()
    for name in given:
        match = _IN_SPLIT.fullmatch(name)
        if match and (match["split"] in USUAL or not match["array"].isdigit()):
            splits.setdefault(match["split"], {})[match["array"]] = name
    if splits or not given:
        return splits
    return {split: {name: name for name in given} for split in PLAIN}


def is_plain(names: Iterable[str]) -> bool:
    """Whether no array of an archive is named ``SPLIT.ARRAY``."""
    return set(by_split(names)) == set(PLAIN)


def parse_selection(text: str, where: str = "") -> Selection:
    """Read ``SPLIT`` or ``SPLIT[start:stop:step]``.

    Raises UsageError for anything else, a step of zero included.
    """
    match = _SELECTION.fullmatch(text.strip())
    if not match:
        one = _ONE.fullmatch(text.strip())
        hint = EXAMPLE
        if one:
            index = int(one["index"])
            hint = f"for that one sample write '{one['split']}[{index}:{index + 1}]'"
        raise UsageError(f"cannot read selection '{text}'", where=where, hint=hint)
    split, *bounds = match.groups()
    start, stop, step = (None if bound is None else int(bound) for bound in bounds)
    if step == 0:
        raise UsageError(f"the step of '{text}' is zero", where=where, hint=EXAMPLE)
    return Selection(split=split, start=start, stop=stop, step=step)
