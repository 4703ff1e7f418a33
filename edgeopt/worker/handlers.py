"""Opening models, loading data and running passes: each gives a digest and a JSON value."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgeopt import step_calls
from edgeopt.agent.feeds import Axes
from edgeopt.data.load import load_split
from edgeopt.data.outputs import kept_labels
from edgeopt.data.overlap import check_overlap, load_hashes
from edgeopt.data.tensors import make_tensors
from edgeopt.formats import Format, format_named
from edgeopt.schema import plugged
from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import EdgeoptError, PassError, PluginError, WorkerError
from edgeopt.schema.job import Arrays, Outcome, Request
from edgeopt.step import Pass, pass_taking, place_of
from edgeopt.store import Store
from edgeopt.worker.answers import samples_of


class Progress(Protocol):
    """Tells how far a job is."""

    def __call__(self, done: float, total: float | None = None, **figures: float) -> None: ...


def open_model(request: Request, store: Store, progress: Progress) -> tuple[str, dict[str, Any]]:
    """Turn the user's files into an artifact. Raises ModelError."""
    params, root = request.job.params, Path(request.job.where["root"])
    name = str(params["spec"]["format"])
    fmt = format_named(name)
    folder = made_folder(request, "artifact")
    also = fmt.gather(params["spec"], root, folder, params.get("samples", {}))
    description, inspection = fmt.describe(folder), fmt.inspect(folder)
    artifact = store.put_artifact(folder, name)
    return artifact.digest, {
        "artifact": artifact.to_json(),
        "description": description.to_json(),
        "inspection": inspection.to_json(),
        **({"also": dict(also)} if also else {}),
    }


def load_data(request: Request, store: Store, progress: Progress) -> tuple[str, dict[str, Any]]:
    """Load a split, make model-ready ``tensors``, or look for ``overlap``. Raises DataError."""
    job = request.job
    model = request.inputs.get("model")
    given = {
        role: Arrays.model_validate(o.value) for role, o in request.inputs.items() if o is not model
    }
    if job.name == "overlap":
        overlap = _overlap(job.params, job.where, given, store)
        return digest_of(overlap), overlap
    if job.name == "tensors":
        (raw,) = given.values()
        said = model and Description.model_validate(model.value["description"])
        arrays = make_tensors(raw, job.params, store, said.signature if said else None)
    elif job.name in ("npz", "kept", "folder", "function"):
        arrays = load_split(job.params, job.where, store, progress)
    else:
        raise WorkerError(f"unknown data job '{job.name}'", where=job.id)
    return arrays.digest, arrays.to_json()


def _overlap(
    params: Mapping[str, Any], where: Mapping[str, Any], splits: dict[str, Arrays], store: Store
) -> dict[str, Any]:
    trained_on = load_hashes(where["trained_on"]) if params.get("trained_on") else None
    return dict(check_overlap(splits, trained_on, store))


@dataclass
class Context:
    """The ``PassContext`` that a running pass gets."""

    seed: int
    workdir: Path
    description: Description
    parent: Path
    kind: type[Pass]
    inputs: Mapping[str, Outcome]
    store: Store
    progress: Progress
    key: str  # the job's
    claims: ExitStack  # closed when the pass has ended
    places: Mapping[str, tuple[str, str]]  # of the user's code
    labels_by: Mapping[str, str]  # output -> array of its labels
    threads: int = 1
    found: dict[str, Any] = field(default_factory=dict)

    def data(self, split: str) -> Mapping[str, Any]:
        """Arrays by model input. Raises PassError for a split that was not declared."""
        if split in self.kind.optional and split not in self.inputs:
            return {}
        if split not in self.kind.splits or split == "test" or split not in self.inputs:
            declared = ", ".join(self.kind.splits) or "none"
            raise PassError(
                f"{self.kind.name} may not see the split '{split}'", hint=f"it declares: {declared}"
            )
        return samples_of(Arrays.model_validate(self.inputs[split].value), self.store)

    @property
    def axes(self) -> Axes:
        """Where inputs take samples, if not first."""
        seen = [split for split in self.kind.splits if split in self.inputs]
        splits = (Arrays.model_validate(self.inputs[split].value) for split in seen)
        return next((arrays.axes for arrays in splits), {})

    def labels(self, split: str) -> Any:
        """The split's labels, or None. Raises PassError for a split that was not declared."""
        return next(iter(self.labelled(split).values()), None)

    def labelled(self, split: str) -> Mapping[str, Any]:
        """The split's labels by output. Raises PassError for a split that was not declared."""
        if not self.kind.labels or split not in self.kind.splits or split == "test":
            raise PassError(f"{self.kind.name} may not see the labels of '{split}'")
        refs = Arrays.model_validate(self.inputs[f"labels:{split}"].value).labels
        found: Mapping[str, Any] = kept_labels(self.labels_by, refs, self.store)
        return found

    def teacher(self) -> Any:
        """The source as its format loads it. Raises PassError where it was not declared."""
        if not self.kind.teaches:
            raise PassError(f"{self.kind.name} may not see the source")
        artifact = Artifact.model_validate(self.inputs["teacher"].value["artifact"])
        folder = self.claims.enter_context(self.store.workdir())
        self.store.checkout(artifact, folder, writable=True)
        return format_named(artifact.format).load(folder)

    @cached_property
    def checkpoints(self) -> Path:
        """Kept across a kill; a private folder while another process runs the same job."""
        folder = self.claims.enter_context(self.store.checkpoints(self.key))
        return folder or self.claims.enter_context(self.store.workdir())

    def code(self, named: str) -> tuple[Path, str]:
        """Where the user's code lies. Raises PassError for what ``Pass.code`` does not name."""
        if named not in self.places:
            raise PassError(f"{self.kind.name} does not declare that it runs '{named}'")
        root, function = self.places[named]
        return Path(root), function


def run_pass(request: Request, store: Store, progress: Progress) -> tuple[str, dict[str, Any]]:
    """Run one pass on a private copy of its parent and look at what came out.

    Raises PassError where the pass refuses its input or its output is not as predicted.
    """
    job = request.job
    kind = pass_taking(job.name, job.params["takes"])
    if kind is None:
        raise PassError(f"no pass '{job.name}' takes {job.params['takes']}", where=job.id)
    step = step_calls.read(kind, job.params["fields"])
    parent = request.inputs["parent"].value
    description = Description.model_validate(parent["description"])
    step_calls.requires(step, description)
    takes, gives = format_named(kind.takes), format_named(kind.gives)
    folder = made_folder(request, "parent")
    store.checkout(Artifact.model_validate(parent["artifact"]), folder, writable=True)
    seed, claims = int(job.key.get("seed", 0)), ExitStack()
    context = Context(
        seed=seed,
        workdir=made_folder(request, "rough"),
        description=description,
        parent=folder,
        kind=kind,
        inputs=request.inputs,
        store=store,
        progress=progress,
        key=request.key,
        claims=claims,
        places=job.where.get("code", {}),
        labels_by=job.params.get("labels", {}),
    )
    model = takes.load(folder)
    seed_everything(seed)
    with claims:
        out = made_folder(request, "artifact")
        _save(step, gives, _made(step, model, context), out)
    real = gives.describe(out)
    _compare(step, Description.model_validate(job.where["predicted"]), real)
    artifact = store.put_artifact(out, kind.gives)
    value = {"artifact": artifact.to_json(), "description": real.to_json()}
    return artifact.digest, value | ({"found": context.found} if context.found else {})


def _made(step: Pass, model: Any, context: Context) -> Any:
    """What the pass makes. Raises PassError naming a library that is missing, and its extra."""
    try:
        return step.run(model, context)
    except ModuleNotFoundError as error:
        named_like_it = error.name if error.name in step.libraries else ""
        extra = step.extra or named_like_it
        if not extra:
            raise
        raise PassError(
            f"{step.name} needs '{error.name}', which is not installed",
            hint=f"Install it: pip install 'edgeopt[{extra}]'",
        ) from error


def _save(step: Pass, gives: Format, made: Any, out: Path) -> None:
    """Write what a pass made. Raises PluginError where its format cannot save it."""
    what = f"run() of the pass {step.name} ({step.body or place_of(type(step))})"
    if made is None:
        raise PluginError(f"{what} gives None, not a model or a path")
    try:
        gives.save(made, out)
    except (EdgeoptError, MemoryError, OSError):
        raise
    except Exception as error:
        raise PluginError(
            f"{what} gives a {type(made).__name__}, which the format {step.gives} cannot save: "
            f"{plugged.one_line(error)}",
            hint="it gives what the format's load() gives, or the path of a file",
        ) from error


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and, where it is loaded, torch, which also gets one thread."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)
        torch.set_num_threads(1)


def _compare(step: Pass, predicted: Description, real: Description) -> None:
    if found := real.differs(predicted):
        raise PassError(
            f"{step_calls.label(step)} made a model that is not what it predicted: "
            f"{'; '.join(found)}",
            hint="found against predicted; the pass's effect() or run() is wrong",
        )


def made_folder(request: Request, name: str) -> Path:
    folder = Path(request.workdir) / name
    folder.mkdir()
    return folder
