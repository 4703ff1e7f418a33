"""Puts a Result on disk: ``result.json`` and the chosen files, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from edgeopt.schema.artifact import Artifact
from edgeopt.schema.errors import StoreError, UsageError
from edgeopt.schema.result import CandidateResult, Result, TargetResult
from edgeopt.schema.target import parse_target
from edgeopt.store import Store

LONGEST_NAME = 255  # bytes of a file's or folder's name


def check_writable(out: Path) -> None:
    """Raise StoreError, before any work is done, where a result could not be written."""
    nearest = next(p for p in (out, *out.absolute().parents) if os.path.exists(p))
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in out.absolute().parts):
        raise UsageError(
            f"a name of more than {LONGEST_NAME} bytes", where=str(out), hint="shorten --out"
        )
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise StoreError(
            f"cannot write the result: {nearest} is not a writable folder",
            where=str(out),
            hint="name another folder with --out",
        )


def write_result(result: Result, store: Store, out: Path) -> Result:
    """Write ``result.json``, ``best/TARGET/``, ``runners-up/TARGET/RUNTIME/`` (the fastest of each
    other runtime) and, where none was chosen or measured, ``candidates/``.

    The new folder contents are staged beside the old ones and swapped in by renames. Gives
    the result with the paths filled in. Raises StoreError naming the folder.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".staged-", dir=out))
        try:
            targets = tuple(_stage_target(target, store, stage) for target in result.targets)
            result = result.model_copy(update={"targets": targets})
            for name in ("best", "candidates", "runners-up"):
                _swap(stage / name, out / name)
            staged = stage / "result.json"
            staged.write_text(json.dumps(result.to_json(), indent=1) + "\n", encoding="utf-8")
            os.replace(staged, out / "result.json")
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    except OSError as error:
        raise StoreError(
            f"cannot write the result: {error.strerror or error}",
            where=str(out),
            hint="free some space or name another folder with --out",
        ) from None
    return result


def _stage_target(target: TargetResult, store: Store, stage: Path) -> TargetResult:
    """Copy what is kept of a target: the choice or nearest miss, and each other runtime's best."""
    slug = parse_target(target.target).slug
    keep = target.chosen or target.nearest_miss
    folders: dict[str, Path] = {}
    if target.verdict == "built":
        for number, candidate in enumerate(target.candidates):
            folders[candidate.id] = Path("candidates") / slug / f"{number:02d}"
    elif keep is not None:
        folders[keep] = Path("best" if target.verdict == "chosen" else "candidates") / slug
        for runtime, candidate in _best_elsewhere(target, target.candidate(keep)).items():
            folders[candidate.id] = Path("runners-up") / slug / runtime
    candidates = []
    for candidate in target.candidates:
        path = None
        if candidate.id in folders and candidate.artifact is not None:
            path = _copy(candidate.artifact, store, stage, folders[candidate.id])
        candidates.append(candidate.model_copy(update={"path": path}))
    placed = target.model_copy(update={"candidates": tuple(candidates)})
    return placed.model_copy(update={"path": placed.candidate(keep).path if keep else None})


def _best_elsewhere(target: TargetResult, kept: CandidateResult) -> dict[str, CandidateResult]:
    """The fastest that lost by time alone, for each runtime but the kept one's."""
    fastest: dict[str, CandidateResult] = {}
    lost = [c for c in target.candidates if c.status in ("lost", "screened")]
    for candidate in sorted(lost, key=lambda c: _ratio(c, target.speed)):
        if candidate.runtime != kept.runtime:
            fastest.setdefault(candidate.runtime, candidate)
    return fastest


def _ratio(candidate: CandidateResult, speed: str) -> float:
    ratio = candidate.measurements.get(f"ratio.{speed}")
    return ratio.value if ratio else float("inf")


def _copy(artifact: Artifact, store: Store, stage: Path, folder: Path) -> str:
    """Lay an artifact's files out; the path of its one file, or of the folder."""
    (stage / folder).mkdir(parents=True, exist_ok=True)
    store.checkout(artifact, stage / folder, writable=True)
    return artifact.whole(folder).as_posix()


def _swap(new: Path, place: Path) -> None:
    old = new.with_name(f"old-{new.name}")
    if place.exists():
        os.replace(place, old)
    if new.exists():
        os.replace(new, place)
