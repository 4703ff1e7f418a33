"""Puts a Result on disk: ``result.json`` and the chosen files, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from edgeopt.schema.errors import StoreError
from edgeopt.schema.result import CandidateResult, Result, TargetResult
from edgeopt.store import Store


def check_writable(out: Path) -> None:
    """Raise StoreError, before any work is done, where a result could not be written."""
    nearest = next(p for p in (out, *out.absolute().parents) if p.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise StoreError(
            f"cannot write the result: {nearest} is no folder that may be written to",
            where=str(out),
            hint="name another folder with --out",
        )


def write_result(result: Result, store: Store, out: Path) -> Result:
    """Write ``result.json``, ``best/TARGET/`` and, where none was measured, ``candidates/``.

    The new folder contents are staged beside the old ones and swapped in by renames. Gives
    the result with the paths filled in. Raises StoreError naming the folder.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".staged-", dir=out))
        try:
            targets = tuple(_stage_target(target, store, stage) for target in result.targets)
            result = result.model_copy(update={"targets": targets})
            for name in ("best", "candidates"):
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
    slug = target.target.replace("/", "-").replace(":", "-").replace("?", "-").replace("&", "-")
    keep = target.chosen or target.nearest_miss
    if target.verdict == "built":
        for number, candidate in enumerate(target.candidates):
            _copy(candidate, store, stage / "candidates" / slug / f"{number:02d}")
        return target
    if keep is None:
        return target
    candidate = target.candidate(keep)
    if candidate.artifact is None:
        return target
    folder = Path("best" if target.verdict == "chosen" else "candidates") / slug
    _copy(candidate, store, stage / folder)
    files = sorted(candidate.artifact.files)
    path = folder / files[0] if len(files) == 1 else folder
    return target.model_copy(update={"path": path.as_posix()})


def _copy(candidate: CandidateResult, store: Store, folder: Path) -> None:
    if candidate.artifact is not None:
        folder.mkdir(parents=True, exist_ok=True)
        store.checkout(candidate.artifact, folder, writable=True)


def _swap(new: Path, place: Path) -> None:
    old = new.with_name(f"old-{new.name}")
    if place.exists():
        os.replace(place, old)
    if new.exists():
        os.replace(new, place)
