"""Scores and races: from jobs to Measurements of each candidate of one target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgeopt.data.quantized import dequantized
from edgeopt.engine import Engine
from edgeopt.metrics import FIDELITY, compute, default_metrics, difference, ratio
from edgeopt.metrics.slices import as_text, sliced
from edgeopt.planner import Known, tensors_job
from edgeopt.recipe import Recipe
from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.constraint import Constraint
from edgeopt.schema.errors import ModelError, from_record
from edgeopt.schema.job import ArrayRef, Job, Outcome
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.plan import Candidate
from edgeopt.schema.result import SliceFigure
from edgeopt.schema.target import Target, TargetFacts, TargetGroup
from edgeopt.store import Store

NO_FIGURE = (  # quantities that no metric computes
    "latency.", "load_time", "memory.", "size", "instructions", "bytes."
)  # fmt: skip
RUNTIME_OF = {
    "torch": "torch",
    "onnx": "onnxruntime",
    "tflite": "litert",
}  # where the source is scored, as given
PACKAGE_OF = {"torch": "torch", "onnxruntime": "onnxruntime", "litert": "ai-edge-litert"}


@dataclass
class Entry:
    """One candidate on its way through a run."""

    plan: Candidate
    target: Target
    facts: TargetFacts
    artifact: Artifact | None = None
    description: Description | None = None
    error: dict[str, str] | None = None
    measured: dict[str, Measurement] = field(default_factory=dict)
    duels: dict[str, Measurement] = field(default_factory=dict)  # other id -> this over other
    placement: dict[str, int] = field(default_factory=dict)
    raced: str = ""  # the last protocol: short, full, final

    @property
    def made(self) -> Description:
        """What it is, as read from its file, or else as planned."""
        return self.description or self.plan.description


class Bench:
    """Measures the entries of one target, or of all runtimes that it stands for.

    It keeps the outcomes of all jobs that it runs.
    """

    def __init__(
        self,
        recipe: Recipe,
        known: Known,
        engine: Engine,
        store: Store,
        outcomes: dict[str, Outcome],
        group: TargetGroup,
    ) -> None:
        self.recipe, self.known, self.engine, self.store = recipe, known, engine, store
        self.outcomes, self.group, self.target = outcomes, group, group.asked
        self.source: dict[str, Measurement] = {}
        self.notes: list[str] = []
        asked = recipe.parsed_constraints()
        self.as_ratios = {c.quantity for c in asked if c.basis == "ratio"}

    # -- scores

    def source_target(self) -> Target:
        """Where the source is scored: the model as given, in its own framework, on the host."""
        return Target(device="local", runtime=RUNTIME_OF[self.known.source.format])

    def score(self, entries: Iterable[Entry], split: str) -> dict[str, dict[str, Measurement]]:
        """Measurements on a split by candidate id, and of the source under ``source``.

        An entry whose score fails gets its error and is left out.
        """
        entries = list(entries)
        source = self._source_job(split)
        jobs = {e.plan.id: self._entry_job(e, split) for e in entries}
        wanted = {job.id: job for job in [source, *jobs.values()]}
        tensors = {t.id: t for t in self._tensors_of(entries, split)}
        missing = [job for id, job in {**tensors, **wanted}.items() if id not in self.outcomes]
        self.outcomes.update(self.engine.run(missing, self.outcomes))
        ended = self.outcomes[source.id]
        if not ended.ok:
            raise from_record(ended.error or {"what": "the source could not be scored"})
        source_outputs = self._outputs(ended, self.known.source)
        labels = self._labels(split)
        metrics = self._metrics(source_outputs, labels)
        measured = {"source": self._compute(metrics, source_outputs, labels, None)}
        for entry in entries:
            outcome = self.outcomes[jobs[entry.plan.id].id]
            if not outcome.ok:
                entry.error = outcome.error
                continue
            entry.placement = dict(outcome.value.get("placement", {}))
            outputs = self._outputs(outcome, entry.made)
            measured[entry.plan.id] = self._of_candidate(outputs, source_outputs, labels)
        return measured

    def _of_candidate(self, outputs: Any, source_outputs: Any, labels: Any) -> dict[str, Any]:
        """All metrics of a candidate, with the paired differences to the source."""
        metrics = self._metrics(source_outputs, labels)
        found = self._compute(metrics, outputs, labels, source_outputs)
        for quantity in metrics if labels is not None else ():
            if quantity in FIDELITY:
                continue
            pair = (quantity, outputs, source_outputs, labels)
            found[f"difference.{quantity}"] = difference(*pair)
            if quantity in self.as_ratios:
                found[f"ratio.{quantity}"] = ratio(*pair)
        return found

    def sliced(self, entry: Entry, split: str) -> tuple[SliceFigure, ...]:
        """The first metric of a scored entry by class and by the values of each slice."""
        ended = [self.outcomes.get(job.id) for job in
                 (self._entry_job(entry, split), self._source_job(split))]  # fmt: skip
        if not all(outcome and outcome.ok for outcome in ended):
            return ()
        mine, theirs = ended
        assert mine is not None and theirs is not None
        outputs = self._outputs(mine, entry.made)
        source, labels = self._outputs(theirs, self.known.source), self._labels(split)
        columns = {n: as_text(self.store.get_array(r)) for n, r in self._columns(split).items()}
        return tuple(sliced(self._metrics(source, labels)[0], outputs, source, labels, columns))

    def _columns(self, split: str) -> Mapping[str, ArrayRef]:
        return self.known.raw[split].slices

    def _compute(
        self, metrics: Iterable[str], outputs: Any, labels: Any, source_outputs: Any
    ) -> dict[str, Measurement]:
        return {
            quantity: compute(quantity, outputs, labels, source_outputs)
            for quantity in metrics
            if source_outputs is not None or quantity not in FIDELITY
        }

    def _metrics(self, outputs: Mapping[str, Any], labels: Any) -> list[str]:
        first = next(iter(outputs.values()))
        classes = int(first.shape[-1]) if first.ndim > 1 else 1
        wanted = list(self.recipe.metrics or default_metrics(labels, classes))
        constraints: tuple[Constraint, ...] = self.recipe.parsed_constraints()
        asked = [c.quantity for c in constraints] + [self.recipe.objective_for(self.target)]
        wanted += [quantity for quantity in asked if not quantity.startswith(NO_FIGURE)]
        return list(dict.fromkeys(wanted))

    def _labels(self, split: str) -> Any:
        ref = self.known.raw[split].labels
        return None if ref is None else self.store.get_array(ref)

    def _outputs(self, outcome: Outcome, description: Description) -> dict[str, Any]:
        """Output arrays by the signature's names, in its order; real values, no codes."""
        tensors = description.signature.outputs
        refs = [outcome.value["outputs"][name] for name in outcome.value["order"]]
        if len(refs) != len(tensors):
            names = [tensor.name for tensor in tensors]
            raise ModelError(f"gave {len(refs)} outputs, not {names}", where=outcome.job)
        arrays = (self.store.get_array(ArrayRef.model_validate(ref)) for ref in refs)
        return {
            tensor.name: dequantized(array, tensor)
            for tensor, array in zip(tensors, arrays, strict=True)
        }

    def _tensors(self, description: Description, model: str, split: str) -> Job:
        return tensors_job(self.recipe, self.known, split, description, model)

    def _tensors_of(self, entries: Iterable[Entry], split: str) -> list[Job]:
        models = [(e.made, e.plan.job) for e in entries]
        return [
            self._tensors(description, model, split)
            for description, model in ((self.known.source, self.known.source_job), *models)
        ]

    def _source_job(self, split: str) -> Job:
        target = self.source_target()
        version = self.known.version(PACKAGE_OF[target.runtime])
        key = {"runtime_version": version, "isa": self.known.host_isa}
        return self._score_job(self.known.source_job, "", self.known.source, split, target, key)

    def _entry_job(self, entry: Entry, split: str) -> Job:
        plan, facts = entry.plan, entry.facts
        key = {"runtime_version": facts.runtime_version, "isa": facts.isa}
        return self._score_job(plan.job, plan.check, entry.made, split, entry.target, key)

    def _score_job(
        self,
        model: str,
        check: str,
        d: Description,
        split: str,
        target: Target,
        key: dict[str, str],
    ) -> Job:
        return Job(
            id=f"score:{split}:{target}:{model}",
            kind="score",
            name=target.runtime,
            worker="bench",
            params={"targets": {"model": str(target)}},
            inputs={"model": model, "samples:model": self._tensors(d, model, split).id},
            needs=(check,) if check else (),
            key=key,
        )

    # -- races

    def race(self, first: Entry, second: Entry, protocol: str, *, tag: str = "") -> dict[str, Any]:
        """Race two entries; the race's value, empty where it failed or time ran out."""
        sides = {"a": first, "b": second}
        tensors = {
            f"samples:{side}": self._tensors(entry.made, entry.plan.job, "validation").id
            for side, entry in sides.items()
        }
        job = Job(
            id=f"race:{tag or protocol}:{first.plan.id} against {second.plan.id}",
            kind="race",
            name=protocol,
            worker="bench",
            params={
                "targets": {side: str(entry.target) for side, entry in sides.items()},
                "protocol": protocol,
            },
            inputs={"a": first.plan.job, "b": second.plan.job, **tensors},
            cache=False,
        )
        outcome = self.engine.run([job], self.outcomes)[job.id]
        self.outcomes[job.id] = outcome
        if not outcome.ok:
            first.error = first.error or outcome.error
            return {}
        return outcome.value

    def race_reference(self, entry: Entry, reference: Entry, protocol: str, tag: str = "") -> bool:
        """Race an entry against the reference and keep its figures. False where it failed."""
        value = self.race(entry, reference, protocol, tag=tag)
        if not value:
            return False
        entry.raced = tag or protocol
        for quantity, raw in value["ratio"].items():
            entry.measured[f"ratio.{quantity}"] = Measurement.model_validate(raw)
        for side, owner in (("a", entry), ("b", reference)):
            if owner is reference and owner is entry:
                continue
            for quantity, raw in value[side].items():
                owner.measured[quantity] = Measurement.model_validate(raw)
        entry.placement = dict(value.get("placement", {}).get("a", entry.placement))
        return True

    def duel(self, entry: Entry, other: Entry) -> Measurement | None:
        """The direct race of two finalists: p50 of ``entry`` over ``other``."""
        value = self.race(entry, other, "full", tag="duel")
        if not value:
            return None
        found = Measurement.model_validate(value["ratio"]["latency.p50"])
        entry.duels[other.plan.id] = found
        return found

    def memory(self, entry: Entry, reference: Entry) -> None:
        """Peak memory of both, a fresh process each."""
        value = self.race(entry, reference, "memory")
        for side, owner in (("a", entry), ("b", reference)):
            for quantity, raw in value.get(side, {}).items():
                owner.measured[quantity] = Measurement.model_validate(raw)


def sizes(entries: Iterable[Entry], reference: Entry) -> None:
    """Size of each entry's files, exact, and its ratio to the reference's."""
    base = reference.artifact.size_bytes if reference.artifact else 0
    for entry in entries:
        if entry.artifact is None:
            continue
        size = entry.artifact.size_bytes
        entry.measured["size"] = Measurement(
            quantity="size", value=size, unit="bytes", protocol="sum of the artifact's files"
        )
        if base:
            entry.measured["ratio.size"] = Measurement(
                quantity="ratio.size", value=size / base, unit="x", protocol="over the reference"
            )
