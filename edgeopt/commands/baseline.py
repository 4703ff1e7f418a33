"""Baselines: choices saved as small files that go with the code, to compare later ones with."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from edgeopt.commands.chosen import laid_out
from edgeopt.pipeline.user_code import file_digest
from edgeopt.schema.artifact import Artifact
from edgeopt.schema.baseline import SEAL, VERSION, Baseline, is_sealed, sealed, slim
from edgeopt.schema.errors import DataError, EdgeoptError, StoreError, UsageError, did_you_mean
from edgeopt.schema.result import Result, TargetResult
from edgeopt.schema.target import parse_target
from edgeopt.store import Store

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
SAVE = "edgeopt baseline save NAME RESULT"


def save_baseline(
    name: str,
    result: Result,
    folder: Path,
    store: Store,
    *,
    with_model: bool = False,
    force: bool = False,
) -> Path:
    """Write ``folder/NAME.json``; ``with_model``: the chosen files beside it, below ``NAME/``.

    Raises UsageError for a name that is none or is taken, and for a result that chose nothing;
    DataError where a chosen file is not what was measured; StoreError where it cannot be written,
    and then the old one stays.
    """
    file, beside = _file_of(name, folder), folder / name
    if file.exists() and not force:
        raise UsageError("there is such a baseline already", where=str(file),
                         hint="say --force to replace it, or choose another name")  # fmt: skip
    ours = file.exists() and _has_files(file)
    if beside.exists() and not ours:
        raise UsageError("a folder of that name is in the way, and no baseline's",
                         where=str(beside), hint="choose another name, or --dir")  # fmt: skip
    kept = slim(result)
    if not kept.targets:
        said = "; ".join(f"{t.target}: {t.verdict}" for t in result.targets)
        raise UsageError(f"nothing was chosen ({said})", hint="a baseline holds choices")
    saved = datetime.now(UTC).isoformat(timespec="seconds")
    new, old = folder / f".{name}.new", folder / f".{name}.old"
    try:
        for rough in (new, old):
            shutil.rmtree(rough, ignore_errors=True)
        new.mkdir(parents=True)
        files = {}
        for target in kept.targets if with_model else ():
            slug = parse_target(target.target).slug
            path = checked_model(result, target.target, store)
            _copy(path, new / name / slug)
            files[target.target] = f"{name}/{slug}"
        made = sealed(Baseline(name=name, saved=saved, result=kept, files=files))
        (new / "json").write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")
        if beside.exists():
            beside.replace(old)
        if with_model:
            (new / name).replace(beside)
        (new / "json").replace(file)
    except OSError as error:
        if old.exists() and not beside.exists():
            old.replace(beside)
        raise StoreError(error.strerror or str(error), where=str(file)) from None
    finally:
        for rough in (new, old):
            shutil.rmtree(rough, ignore_errors=True)
    return file


def read_baseline(name: str, folder: Path) -> Baseline:
    """A saved baseline. Raises UsageError for one that is not there, DataError for one that cannot
    be read, is of another version or was changed by hand."""
    file = _file_of(name, folder)
    if not file.is_file():
        known = baseline_names(folder)
        raise UsageError(f"no baseline '{name}' in {folder}", where=str(file),
                         hint=did_you_mean(name, known) or SAVE)  # fmt: skip
    try:
        document = json.loads(file.read_bytes())
        version = document["schema_version"]
    except OSError as error:
        raise DataError(error.strerror or str(error), where=str(file)) from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise DataError("not a baseline: no document of one", where=str(file)) from None
    if version != VERSION:
        raise DataError(f"a baseline of version {version}; this edgeopt reads {VERSION}",
                        where=str(file), hint=f"save it again: {SAVE}")  # fmt: skip
    if not is_sealed(document) or document.get("name") != name:
        raise DataError(
            "the baseline was changed since it was saved: its digest or its name does not fit",
            where=str(file),
            hint=f"save it again from a result: {SAVE}",
        )
    try:
        return Baseline.model_validate({k: v for k, v in document.items() if k != SEAL})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise DataError(f"not a valid baseline: {place}: {first['msg']}",
                        where=str(file)) from None  # fmt: skip


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
            if why := _fault(place, artifact):
                raise DataError(why, where=str(place), hint=f"save it again: {SAVE}")
            return artifact.whole(place)
    return _of_store(artifact, store)


def checked_model(result: Result, target: str, store: Store) -> Path:
    """What a result chose, if it is what was measured; else out of the store. Raises DataError that
    names the file where neither has it."""
    found = result.target(target)
    assert found.chosen is not None
    artifact = found.candidate(found.chosen).artifact
    assert artifact is not None
    path: Path | None = None
    with suppress(EdgeoptError):
        path = result.best(target).path
    place = path.parent if path is not None and len(artifact.files) == 1 else path
    why = "its files were not written" if place is None else _fault(place, artifact)
    if not why and place is not None:
        return artifact.whole(place)
    kept = _of_store(artifact, store)
    if kept is None:
        raise DataError(
            f"what was chosen for {target} is neither there nor in the store: {why}",
            where=str(path or target),
            hint="run 'edgeopt optimize' again",
        )
    return kept


def _of_store(artifact: Artifact, store: Store) -> Path | None:
    try:
        for digest in artifact.files.values():
            store.path(digest)
    except StoreError:
        return None
    return laid_out(store.root, artifact)


def _file_of(name: str, folder: Path) -> Path:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' is not a valid name for a baseline", hint="letters, digits, '_', '-' and '.'"
        )
    return folder / f"{name}.json"


def _has_files(file: Path) -> bool:
    """Whether a baseline says that the folder beside it is its own."""
    try:
        return bool(json.loads(file.read_bytes()).get("files"))
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def _copy(path: Path, place: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, place)
    else:
        place.mkdir(parents=True)
        shutil.copy2(path, place / path.name)


def _fault(place: Path, artifact: Artifact) -> str:
    """What is wrong with the files of an artifact in a folder; empty where nothing is."""
    for name, digest in artifact.files.items():
        file = place / name
        if not file.resolve().is_relative_to(place.resolve()):
            return f"'{name}' leaves the folder"
        if not file.is_file():
            return f"'{name}' is missing"
        if file_digest(file) != digest:
            return f"'{name}' is not the file that was measured"
    return ""
