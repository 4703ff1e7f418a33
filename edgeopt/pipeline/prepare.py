"""The first jobs of every run: load the splits, check them, open the source, ask the targets."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple

from edgeopt.data.constants import arrays_named
from edgeopt.data.sources.folder import folder_digest
from edgeopt.data.sources.npz import Npz, members_digest
from edgeopt.data.splits import is_plain, parse_selection
from edgeopt.data.tensors import doubts, sample_inputs
from edgeopt.engine import Engine
from edgeopt.formats import declared, format_of
from edgeopt.formats.torch.sources import check_defined
from edgeopt.pipeline.classes import classes_of
from edgeopt.pipeline.labelled import labels_of
from edgeopt.pipeline.missing_quantities import check_quantities
from edgeopt.pipeline.targets import target_groups
from edgeopt.pipeline.user_code import code_digests, digest_or_error, placed_code
from edgeopt.planner import Known, UserCode
from edgeopt.recipe import Recipe
from edgeopt.schema import plugged
from edgeopt.schema.artifact import Description, Inspection
from edgeopt.schema.base import counted as told_count
from edgeopt.schema.errors import (
    DataError,
    PlanError,
    UsageError,
    from_record,
)
from edgeopt.schema.job import Arrays, Job, Limits, Outcome
from edgeopt.schema.model_format import model_format
from edgeopt.schema.target import TargetGroup, parse_target
from edgeopt.transport.kinds import device_named

Role = Literal["calibration", "validation", "test", "train"]
OPEN = "source"
ROLES: tuple[Role, ...] = ("calibration", "validation", "test", "train")


@cache
def installed_version(name: str) -> str:
    """The version of an installed distribution, from its metadata; empty where it is absent."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def run_or_raise(
    engine: Engine, jobs: list[Job], known: Mapping[str, Outcome]
) -> dict[str, Outcome]:
    """Run jobs of which none may fail; raises the error of the first that did."""
    outcomes = engine.run(jobs, known)
    for status in ("failed", "crashed", "timeout", "memory", "cancelled", "skipped"):
        for outcome in outcomes.values():
            if outcome.status == status:
                raise from_record(outcome.error or {"what": f"{outcome.job} {status}"})
    return outcomes


def data_jobs(recipe: Recipe) -> list[Job]:
    """A job for each split and one that looks for overlap. Raises PlanError, DataError."""
    spec = recipe.data
    if spec is None:
        raise PlanError(
            "no data: candidates are chosen by what they answer on real samples",
            where=str(recipe.path or ""),
            hint="add data.source with a validation split, or pass --data FILE.npz",
        )
    kind = _source_of(recipe)
    selections = spec.selections
    counted = [role for role, given in spec.splits.items() if isinstance(given, int)]
    if counted and kind.name != "function":
        raise UsageError(
            f"a number of samples is for a function; '{spec.source}' has named splits",
            where=recipe.line("data", "splits", counted[0]),
            hint=f'e.g. {counted[0]}: "validation[:{spec.splits[counted[0]]}]"',
        )
    jobs = [
        Job(
            id=f"data:{role}",
            kind="data",
            name=kind.name,
            params={
                "split": role,
                "select": selection,
                "inputs": arrays_named(spec.inputs),
                "labels": list(spec.label_arrays),
                "slices": list(spec.slices),
                "resize": spec.resize,
            },
            worker=kind.worker,
            key=kind.key(parse_selection(selection).split),
            where=kind.where,
            cache=kind.name != "function",  # it may read what no key knows
            limits=Limits(time_s=spec.timeout_s if kind.name == "function" else None),
        )
        for role, selection in selections.items()
    ]
    named = recipe.model.trained_on
    trained_on = os.path.abspath(recipe.root / named) if named else ""
    overlap = Job(
        id="data:overlap",
        kind="data",
        name="overlap",
        params={"trained_on": bool(trained_on)},
        inputs={job.params["split"]: job.id for job in jobs},
        key={"trained_on": digest_or_error(Path(trained_on)) if trained_on else ""},
        where={"trained_on": trained_on},
    )
    return [*jobs, overlap]


class _Source(NamedTuple):
    """A kind of data source: the job's name, what its key holds of a split, where it reads."""

    name: str
    key: Callable[[str], dict[str, Any]]
    where: dict[str, Any]
    worker: str = "core"


def _source_of(recipe: Recipe) -> _Source:
    """What a recipe's ``data.source`` is. Raises UsageError for what nobody reads."""
    assert recipe.data is not None
    if recipe.held:
        return _Source("kept", lambda split: _kept(recipe.held, split), {"arrays": recipe.held})
    text = recipe.data.source
    file, colon, name = text.rpartition(":")
    if colon and file.endswith(".py") and name.isidentifier():
        digests = code_digests(recipe, text)
        base, function = placed_code(text, recipe.root)
        where = {"function": function, "root": str(base.resolve())}
        return _Source("function", lambda _split: {"code": digests}, where, "user")
    path = Path(os.path.abspath(recipe.root / text))  # workers stand elsewhere
    if path.suffix == ".npz":
        return _Source("npz", lambda s: {"members": _content(members_digest, path, s)},
                       {"path": str(path)})  # fmt: skip
    if path.is_dir():
        return _Source("folder", lambda s: {"files": _content(folder_digest, path, s)},
                       {"folder": str(path)})  # fmt: skip
    raise UsageError(
        f"cannot read data source '{text}'" if path.exists() else f"no such data source '{text}'",
        where=recipe.line("data", "source"),
        hint="it is an .npz file of arrays, plain or named SPLIT.ARRAY, a folder of images in "
        "SPLIT/CLASS/, or FILE.py:FUNCTION",
    )


def _kept(held: Mapping[str, Any], split: str) -> dict[str, Any]:
    return {name: ref["blob"] for name, ref in held.items() if name.startswith(f"{split}.")}


def open_job(recipe: Recipe, samples: Mapping[str, Any]) -> Job:
    """The job that turns the user's files into the source artifact.

    Its key holds the digest of every file that it reads; raises ModelError for a missing one.
    """
    spec = recipe.model.to_json()
    name = spec["format"] or _source_format(recipe)
    spec["format"], known = name, model_format(name)
    root = _rebased(spec, recipe.root)
    with plugged.calling(f"sources() of the format {name}"):
        files = dict(declared(name).sources(spec, root).items())
    return Job(
        id=OPEN,
        kind="open",
        name=name,
        worker=known.worker,
        params={
            "spec": {k: v for k, v in spec.items() if k != "trained_on"},
            "samples": dict(samples) if known.takes_samples else {},
        },
        key={
            "files": {name: digest_or_error(path) for name, path in files.items()},
            "versions": {name: installed_version(name) for name in known.uses},
            **({"version": known.version} if known.version > 1 else {}),
        },
        where={"root": str(root.resolve())},
    )


def _takes_samples(recipe: Recipe) -> bool:
    return model_format(recipe.model.format or _source_format(recipe)).takes_samples


def _rebased(spec: dict[str, Any], root: Path) -> Path:
    """The folder that the code's imports start from; paths in ``spec`` become relative to it.

    That is the recipe's folder, or the factory's own where it lies elsewhere.
    """
    base, factory = placed_code(spec["factory"] or "", root)
    if base == root:
        return root
    spec["factory"] = factory
    for key in ("weights", "sources"):
        if isinstance(spec[key], str):
            spec[key] = os.path.relpath(root / spec[key], base)
        elif spec[key]:
            spec[key] = [os.path.relpath(root / each, base) for each in spec[key]]
    return base


def prepare(recipe: Recipe, engine: Engine) -> tuple[Known, dict[str, Outcome]]:
    """Run the first jobs; what the planner needs to know, and their outcomes."""
    groups, lost = target_groups(recipe.parsed_targets())
    check_quantities(recipe, groups)
    jobs = data_jobs(recipe)
    apart = None if _takes_samples(recipe) else open_job(recipe, {})  # another worker opens it
    outcomes = run_or_raise(engine, [*jobs, *filter(None, [apart])], {})
    raw_jobs = {job.params["split"]: job.id for job in jobs if job.name != "overlap"}
    raw = {role: Arrays.model_validate(outcomes[id].value) for role, id in raw_jobs.items()}
    assert recipe.data is not None
    _check_shapes(recipe, raw)
    samples = sample_inputs(
        raw["validation"],
        preprocess=recipe.data.preprocess,
        inputs=recipe.data.inputs,
        layout=recipe.data.layout,
    )
    if apart is None:
        outcomes |= run_or_raise(engine, [open_job(recipe, samples)], outcomes)
    source = Description.model_validate(outcomes[OPEN].value["description"])
    labelled, label_notes = labels_of(recipe, raw, source, engine.store)
    notes = [*label_notes, *_of_devices(groups), *_too_new(recipe, outcomes[OPEN], groups)]
    if recipe.data.layout is None:
        also = outcomes[OPEN].value.get("also", {})
        notes += doubts(raw["validation"], source.signature, recipe.data.inputs, also)
    notes += [
        f"samples are fed to input '{tensor.name}' {list(tensor.shape)} on axis {tensor.batch_axis}"
        for tensor in source.signature.inputs
        if tensor.batch_axis
    ]
    if batch := source.signature.batch:
        notes.append(f"the source takes {told_count(batch, 'sample')} at a time")
    if jobs[0].name == "npz" and is_plain(Npz(jobs[0].where["path"]).members):
        chosen = ", ".join(f"{role} is {rows}" for role, rows in recipe.data.selections.items())
        notes.append(f"{recipe.data.source} has plain arrays, which are one split: {chosen}")
    known = Known(
        source=source,
        source_job=OPEN,
        raw=raw,
        unshared=_unshared(outcomes["data:overlap"]),
        raw_jobs=raw_jobs,
        groups=groups,
        host_isa=host_isa(),
        version=installed_version,
        unreachable=lost,
        labelled=labelled,
        classes=classes_of(recipe, raw, source, labelled, engine.store),
        code=lambda named: _user_code(recipe, named),
        notes=tuple(notes),
    )
    return known, outcomes


def _of_devices(groups: Sequence[TargetGroup]) -> list[str]:
    """What devices have to say of themselves."""
    told = {str(g): getattr(device_named(g.asked.device), "told", "") for g in groups}
    return [f"{target}: {text}" for target, text in told.items() if text]


def _too_new(recipe: Recipe, opened: Outcome, groups: Sequence[TargetGroup]) -> list[str]:
    """Notes on an ONNX source that the oldest version of a runtime does not read.

    Raises PlanError where no target is left then: no pass takes an opset back.
    """
    opset = Inspection.model_validate(opened.value["inspection"]).opset.get("ai.onnx", 0)
    refused = {
        name: why for name, each in recipe.floors.items() if (why := each.refuses({"opset": opset}))
    }
    runtimes = {target.runtime for group in groups for target, _ in group.members}
    if refused and runtimes <= refused.keys():
        raise PlanError(
            f"the source: {next(iter(refused.values()))}",
            where=recipe.line("runtime"),
            hint="export it again at that opset, or ask for a later version",
        )
    return [f"the source: {why}" for why in refused.values()]


def _user_code(recipe: Recipe, named: str) -> UserCode:
    """``FILE.py:NAME`` that a pass names. Raises ModelError where there is none."""
    base, placed = placed_code(named, recipe.root)
    digests = code_digests(recipe, named)
    file, _, name = placed.rpartition(":")
    check_defined(base / file, name)
    return UserCode(digests, str(base.resolve()), placed)


def _check_shapes(recipe: Recipe, raw: Mapping[str, Arrays]) -> None:
    """Raise DataError where an array's samples differ between splits in shape or dtype."""
    for role, arrays in raw.items():
        for name, ref in arrays.arrays.items():
            first = raw["validation"].arrays.get(name, ref)
            if (ref.shape[1:], ref.dtype) != (first.shape[1:], first.dtype):
                raise DataError(
                    f"samples of '{name}' are {ref.dtype}{list(ref.shape[1:])} in {role} and "
                    f"{first.dtype}{list(first.shape[1:])} in validation",
                    where=recipe.line("data", "splits", role),
                )


def host_isa() -> str:
    """The ISA of this machine, as the local agent names it."""
    return device_named("local").facts(parse_target("local/onnxruntime")).isa


def _source_format(recipe: Recipe) -> str:
    if recipe.model.factory is not None:
        return "torch"
    assert recipe.model.path is not None
    return format_of(recipe.root / recipe.model.path)


def _content(digest: Callable[[Path, str], str], path: Path, split: str) -> str:
    try:
        return digest(path, split)
    except OSError as error:
        raise DataError(error.strerror or str(error), where=str(path)) from None


def _unshared(overlap: Outcome) -> dict[str, tuple[str, ...]]:
    """By split, what it was found to share no sample with."""
    unshared: dict[str, tuple[str, ...]] = {}
    for pair in overlap.value["pairs"]:
        unshared[pair["split"]] = (*unshared.get(pair["split"], ()), pair["against"])
    return unshared
