"""Baselines: choices saved as small files that go with the code, to be held against later."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from edgeopt.commands.chosen import laid_out
from edgeopt.schema.artifact import Artifact
from edgeopt.schema.baseline import Baseline, is_sealed, slim
from edgeopt.schema.errors import DataError, StoreError, UsageError, did_you_mean
from edgeopt.schema.result import Result, TargetResult
from edgeopt.schema.target import parse_target
from edgeopt.store import Store

FOLDER = Path("baselines")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
SAVE = "edgeopt baseline save NAME RESULT"


def save_baseline(
    name: str, result: Result, folder: Path, *, with_model: bool = False, force: bool = False
) -> Path:
    """Write ``folder/NAME.json``; ``with_model``: the chosen files beside it, below ``NAME/``.

    Raises UsageError for a name that is none, one that is taken, and a result that chose nothing;
    StoreError where it cannot be written, and then nothing is.
    """
    file = _file_of(name, folder)
    if file.exists() and not force:
        raise UsageError("there is such a baseline already", where=str(file),
                         hint="say --force to replace it, or choose another name")  # fmt: skip
    kept = slim(result)
    if not kept.targets:
        said = "; ".join(f"{t.target}: {t.verdict}" for t in result.targets)
        raise UsageError(f"nothing was chosen ({said})", hint="a baseline holds choices")
    saved = datetime.now(UTC).isoformat(timespec="seconds")
    rough = folder / f".{name}.new"
    try:
        shutil.rmtree(rough, ignore_errors=True)
        rough.mkdir(parents=True)
        files = _copied(result, kept.targets, name, rough) if with_model else {}
        made = Baseline(name=name, saved=saved, result=kept, files=files).sealed()
        (rough / "json").write_text(json.dumps(made.to_json(), indent=1, sort_keys=True) + "\n")
        shutil.rmtree(folder / name, ignore_errors=True)
        if with_model:
            (rough / name).replace(folder / name)
        (rough / "json").replace(file)
    except OSError as error:
        raise StoreError(error.strerror or str(error), where=str(file)) from None
    finally:
        shutil.rmtree(rough, ignore_errors=True)
    return file


def read_baseline(name: str, folder: Path) -> Baseline:
    """A saved baseline. Raises UsageError for one that is not there, DataError for one that cannot
    be read or was changed by hand."""
    file = _file_of(name, folder)
    if not file.is_file():
        known = baseline_names(folder)
        raise UsageError(f"no baseline '{name}' in {folder}", where=str(file),
                         hint=did_you_mean(name, known) or SAVE)  # fmt: skip
    try:
        found = Baseline.model_validate_json(file.read_bytes())
    except OSError as error:
        raise DataError(error.strerror or str(error), where=str(file)) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise DataError(f"no baseline: {place}: {first['msg']}", where=str(file)) from None
    if not is_sealed(found):
        raise DataError(
            "the baseline was changed since it was saved: its digest does not fit",
            where=str(file),
            hint="save it again from a result (edgeopt baseline save)",
        )
    return found


def baseline_names(folder: Path) -> Sequence[str]:
    """Those of a folder, in the alphabet's order."""
    return sorted(file.stem for file in folder.glob("*.json") if NAME.fullmatch(file.stem))


def model_of(baseline: Baseline, target: TargetResult, folder: Path, store: Store) -> Path | None:
    """The chosen model of a target: beside the baseline, or out of the store; None where neither
    has it. Raises DataError where the file beside it is not the one that was saved."""
    artifact = target.candidates[0].artifact
    assert artifact is not None
    if target.target in baseline.files:
        place = folder / baseline.name / parse_target(target.target).slug
        if place.is_dir():
            _check_files(place, artifact)
            return _whole(place, artifact)
    try:
        for digest in artifact.files.values():
            store.path(digest)
    except StoreError:
        return None
    return laid_out(store.root, artifact)


def _file_of(name: str, folder: Path) -> Path:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' is no name for a baseline", hint="letters, digits, '_', '-' and '.'"
        )
    return folder / f"{name}.json"


def _copied(
    result: Result, targets: Sequence[TargetResult], name: str, rough: Path
) -> dict[str, str]:
    """Copy the chosen files; where each target's lie below the folder."""
    files = {}
    for target in targets:
        path = result.best(target.target).path
        slug = parse_target(target.target).slug
        place = rough / name / slug
        if path.is_dir():
            shutil.copytree(path, place)
        else:
            place.mkdir(parents=True)
            shutil.copy2(path, place / path.name)
        files[target.target] = f"{name}/{slug}"
    return files


def _check_files(place: Path, artifact: Artifact) -> None:
    for name, digest in artifact.files.items():
        file = place / name
        if not file.resolve().is_relative_to(place.resolve()):
            raise DataError(f"'{name}' leaves the baseline's folder", where=str(place))
        found = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
        if found != digest:
            said = "is not the file that was saved" if found else "is missing"
            raise DataError(f"'{name}' {said}", where=str(place),
                            hint="save the baseline again (edgeopt baseline save)")  # fmt: skip


def _whole(place: Path, artifact: Artifact) -> Path:
    names = sorted(artifact.files)
    return place / names[0] if len(names) == 1 else place
