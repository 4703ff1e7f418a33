"""What comes of a selection, and how a run ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from edgeopt.schema.errors import UnreachableError
from edgeopt.schema.job_words import place_in_words
from edgeopt.schema.result import TargetResult, TargetVerdict

EXIT: dict[TargetVerdict, int] = {
    "chosen": 0, "built": 0, "unmet": 3, "refused-on-test": 3, "inconclusive": 4,
    "unreachable": 5, "failed": 5,
}  # fmt: skip
UNDECIDED = ("unreachable", "failed")
ORDER = (3, 4, 5)  # of several targets, the first of these that applies


@dataclass(frozen=True)
class Decision:
    """What came of the selection on a target."""

    verdict: TargetVerdict
    sentence: str
    chosen: str | None = None  # candidate id
    nearest_miss: str | None = None  # candidate id
    test: dict[str, Any] = field(default_factory=dict)
    error: UnreachableError | None = None  # the device was lost

    @property
    def exit_code(self) -> int:
        """0 chosen or built, 3 unmet or refused on test, 4 inconclusive, 5 unreachable, failed."""
        return EXIT[self.verdict]


def exit_code_of(targets: Iterable[TargetResult]) -> int:
    """Of a run: 1 where no target was decided, else the first of 3, 4 and 5 that a target has."""
    results = list(targets)
    if all(target.verdict in UNDECIDED for target in results):
        return 1
    return next((code for code in ORDER if code in {t.exit_code for t in results}), 0)


def one_line(text: str) -> str:
    """A message in one line, whatever a library put into it."""
    return " ".join(text.split())


def error_in_words(error: dict[str, str]) -> str:
    """Where it failed and what failed; the id of the job that scored or raced it says neither."""
    where, what = error.get("where", ""), error.get("what", "") or "failed"
    where = "" if where.startswith(("score:", "race:")) else where
    return f"{place_in_words(where)}: {what}" if where else what
