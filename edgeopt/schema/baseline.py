"""A saved choice to compare later ones with: figures and digests, no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeopt.schema.base import Noun, digest_of
from edgeopt.schema.result import JobLists, Result

VERSION = 1
SEAL = "digest"  # the key of a saved baseline with the digest of all others


class Baseline(Noun):
    """``result`` holds of each target what was chosen, and nothing else. ``files`` tells, by
    target, where the chosen model lies below the folder, where it was kept beside the baseline.
    """

    schema_version: int = VERSION
    name: str
    saved: str  # ISO 8601, UTC
    result: Result
    files: dict[str, str] = {}


def sealed(baseline: Baseline) -> dict[str, Any]:
    """The document, with its digest: a figure that was changed by hand is noticed."""
    form = baseline.to_json()
    return {**form, SEAL: digest_of(form)}


def is_sealed(document: Mapping[str, Any]) -> bool:
    """Whether nothing in a document was changed since it was saved, by whichever version."""
    return document.get(SEAL) == digest_of({k: v for k, v in document.items() if k != SEAL})


def slim(result: Result) -> Result:
    """A result of what was chosen alone, without what differs from run to run."""
    targets = []
    for target in result.targets:
        if target.chosen is None or target.verdict != "chosen":
            continue
        kept = target.candidate(target.chosen).model_copy(
            update={"tried": (), "parity": (), "conversion": None, "chain": (), "path": None}
        )
        targets.append(
            target.model_copy(
                update={"candidates": (kept,), "stages": (), "path": None, "reference": ""}
            )
        )
    return result.model_copy(
        update={
            "started": "", "seconds": 0.0, "jobs": JobLists(), "search": (), "notes": (),
            "targets": tuple(targets),
        }
    )  # fmt: skip
