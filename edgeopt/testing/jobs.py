"""A pass run as a job: on a model in a store of its own, in this process or in a worker."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from edgeopt.engine import Engine
from edgeopt.environments import environments
from edgeopt.formats import format_named
from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.errors import from_record
from edgeopt.schema.event import Event
from edgeopt.schema.job import Arrays, Job, Limits, Outcome, Request
from edgeopt.step import Pass
from edgeopt.store import Store
from edgeopt.testing.folders import changes, files_of
from edgeopt.testing.models import LABELS, Model
from edgeopt.worker.loop import answer

CHECKED = 16  # samples that a promise is held against


class Bed:
    """A store that holds the model and its samples, and the pass run on them as a job."""

    def __init__(self, step: Pass, model: Model, folder: Path) -> None:
        self.step, self.model, self.folder = step, model, folder
        self.store = Store(folder / "store")
        source = folder / "source"
        source.mkdir()
        kind = format_named(model.format)
        kind.gather(model.spec, model.root, source, model.said)
        self.description = kind.describe(source)
        artifact = self.store.put_artifact(source, model.format)
        value = {"artifact": artifact.to_json(), "description": self.description.to_json()}
        self.known = {
            "source": Outcome(job="source", status="ok", digest=artifact.digest, value=value)
        }
        for split in ("validation", *step.sees):
            self._keep(f"tensors:{split}", self._arrays(split))
            self._keep(f"labels:{split}", self._labels(split))

    def job(self, seed: int = 0) -> Job:
        """The job of the pass, as a plan has it."""
        step = self.step
        inputs = {"parent": "source"} | {split: f"tensors:{split}" for split in step.sees}
        if step.labels:
            inputs |= {f"labels:{split}": f"labels:{split}" for split in step.sees}
        if step.teaches:
            inputs["teacher"] = "source"
        first = self.description.signature.outputs[0].name
        labelled = {first: LABELS} if step.labels and self.model.labels is not None else {}
        root = str(self.model.root)
        return Job(
            id=step.label,
            kind="pass",
            name=step.name,
            worker=step.worker,
            params={
                "takes": step.takes,
                "fields": step.model_dump(mode="json"),
                "labels": labelled,
            },
            inputs=inputs,
            key={"seed": seed, "version": step.version},
            where={
                "predicted": step.effect(self.description).to_json(),
                "code": {named: (root, named) for named in step.code},
            },
            limits=Limits(time_s=step.limit_s),
        )

    def run(self, job: Job) -> Outcome:
        """Its outcome, by a worker's own code in this process; in a worker where the pass has a
        tool environment, which is made if it is missing, or an extra of its own, whose libraries
        may not stand others beside them. Raises the job's error."""
        elsewhere = job.worker in environments() or bool(self.step.extra)
        outcome = self.run_in_worker(job) if elsewhere else self._answered(job)
        self.known[job.id] = outcome
        return outcome

    def run_in_worker(self, job: Job, cancel: Cancel | None = None) -> Outcome:
        """Its outcome, by the engine in a worker process. Raises the job's error."""

        def tell(event: Event) -> None:
            if cancel is not None and event.what == "progress":
                cancel.strike()

        with Engine(self.store, on_event=tell, bench=_no_bench, make_environments=True) as engine:
            if cancel is not None:
                cancel.arm(engine)
            outcome = engine.run([job], self.known)[job.id]
        if outcome.error:
            raise from_record(outcome.error)
        return outcome

    def check(self, job: Job) -> str:
        """What a check tells of parent and child on real samples. Raises PassError."""
        child = Description.model_validate(self.known[job.id].value["description"])
        self._keep("tensors:child", self._arrays("validation", child))
        promise = self.step.promised(self.description)
        inputs = {"parent": "source", "child": job.id}
        inputs |= {"samples": "tensors:validation", "child_samples": "tensors:child"}
        check = Job(
            id="check",
            kind="check",
            name=self.step.name,
            params={"promise": promise.to_json(), "n": CHECKED},
            inputs=inputs,
        )
        return str(self._answered(check).value["sentence"])

    def artifact_of(self, outcome: Outcome) -> Artifact:
        """What a pass made."""
        return Artifact.model_validate(outcome.value["artifact"])

    def blobs(self) -> set[str]:
        """Digests of all that the store holds."""
        return {path.name for path in (self.store.root / "blobs").glob("??/*")}

    def key(self, job: Job) -> str:
        """The job's key, as the engine makes it."""
        return job.cache_key({role: self.known[id].digest for role, id in job.inputs.items()})

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    def _answered(self, job: Job) -> Outcome:
        with self.store.workdir() as folder:
            inputs = {role: self.known[id] for role, id in job.inputs.items()}
            where = {"store": str(self.store.root), "workdir": str(folder)}
            request = Request(job=job, inputs=inputs, key=self.key(job), **where)
            outcome = answer(request, {request.store: self.store}, _silent)
            parent, known = folder / "parent", self.known["source"].value["artifact"]
            if job.kind == "pass" and outcome.ok:
                given = self.store.checkout(Artifact.model_validate(known), folder / "as-it-was")
                differences = changes(files_of(given), files_of(parent))
                assert not differences, (
                    f"the pass changed the folder of its parent: {'; '.join(differences)}"
                )
        if outcome.error:
            raise from_record(outcome.error)
        return outcome

    def _arrays(self, split: str, reader: Description | None = None) -> Arrays:
        """A split's samples, ready to feed; codes where the reader's inputs are quantized."""
        from edgeopt.data.tensors import bind, make_tensors

        rows = self.model.rows(split)
        arrays = {n: self.store.put_array(a[rows]) for n, a in self.model.samples.items()}
        raw = Arrays(split=split, n=rows.stop - rows.start, arrays=arrays)
        d = reader or self.description
        bound = bind(raw, preprocess=[], signature=d.signature, codes=d.codes)
        return make_tensors(raw, {"preprocess": [], "bind": bound}, self.store, d.signature)

    def _labels(self, split: str) -> Arrays:
        rows = self.model.rows(split)
        arrays = {n: self.store.put_array(a[rows]) for n, a in self.model.samples.items()}
        given = self.model.labels
        labels = {} if given is None else {LABELS: self.store.put_array(given[rows])}
        return Arrays(split=split, n=rows.stop - rows.start, arrays=arrays, labels=labels)

    def _keep(self, id: str, arrays: Arrays) -> None:
        digest, value = arrays.digest, arrays.to_json()
        self.known[id] = Outcome(job=id, status="ok", digest=digest, value=value)


class Cancel:
    """Closes an engine, as Ctrl-C does: at the first progress, or at last after a while."""

    def __init__(self, after_s: float | None = None) -> None:
        self._timer = None if after_s is None else threading.Timer(after_s, self.strike)
        self._engine: Engine | None = None
        self.struck = False

    def arm(self, engine: Engine) -> None:
        """From now on it strikes."""
        self._engine = engine
        if self._timer is not None:
            self._timer.start()

    def strike(self) -> None:
        """Cancel what runs."""
        if self._engine is not None:
            self.struck = True
            self._engine.close()

    def disarm(self) -> None:
        """It is over, and so is what it began."""
        if self._timer is not None:
            self._timer.cancel()
            if self._timer.is_alive():
                self._timer.join()


def _silent(done: float, total: float | None = None, **figures: float) -> None:
    """Nobody to tell."""


def _no_bench(*_: Any) -> tuple[str, dict[str, Any]]:
    raise AssertionError("a pass measures nothing")
