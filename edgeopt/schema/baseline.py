"""A saved choice to hold later ones against: figures and digests, no model."""

from __future__ import annotations

from typing import Any, Self

from edgeopt.schema.base import Noun, canonical, digest_of
from edgeopt.schema.result import Result


class Baseline(Noun):
    """``result`` holds of each target what was chosen, and nothing else; ``digest`` is that of all
    other fields, so that a figure changed by hand is noticed. ``files`` tells, by target, where the
    chosen model lies below the baseline's folder, where it was kept beside it.
    """

    schema_version: int = 1
    name: str
    saved: str  # ISO 8601, UTC
    result: Result
    files: dict[str, str] = {}
    digest: str = ""

    def sealed(self) -> Self:
        """The same with its digest."""
        return self.model_copy(update={"digest": self.expected})

    @property
    def expected(self) -> str:
        """The digest that belongs to what it holds."""
        return digest_of({k: v for k, v in self.to_json().items() if k != "digest"})


def slim(result: Result) -> Result:
    """A result of its choices alone, without what differs from run to run."""
    targets = []
    for target in result.targets:
        if target.chosen is None:
            continue
        kept = target.candidate(target.chosen).model_copy(
            update={"tried": (), "parity": (), "conversion": None, "chain": (), "path": None}
        )
        targets.append(
            target.model_copy(
                update={"candidates": (kept,), "stages": (), "path": None, "reference": ""}
            )
        )
    empty: dict[str, Any] = {"started": "", "seconds": 0.0, "jobs": type(result.jobs)()}
    return result.model_copy(update={**empty, "search": (), "notes": (), "targets": tuple(targets)})


def is_sealed(baseline: Baseline) -> bool:
    """Whether nothing was changed since it was saved."""
    return canonical(baseline.digest) == canonical(baseline.expected)
