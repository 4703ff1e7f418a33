"""Scores and races: from jobs to Measurements of each candidate of one target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from edgeopt.decide.proof import inverse
from edgeopt.engine import Engine
from edgeopt.evaluation import aligned
from edgeopt.pipeline.entry import Entry, at_one
from edgeopt.pipeline.figures import Figures
from edgeopt.pipeline.own import measured_by, metric_jobs
from edgeopt.planner import Known, tensors_job
from edgeopt.recipe import Recipe
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import (
    DeviceError,
    EdgeoptError,
    PassError,
    UnreachableError,
    from_record,
)
from edgeopt.schema.job import ArrayRef, Arrays, Job, Outcome
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.model_format import scored_by
from edgeopt.schema.result import SliceFigure
from edgeopt.schema.runtime import runtime_named
from edgeopt.schema.target import Target, TargetGroup
from edgeopt.store import Store
from edgeopt.transport.kinds import works_here

__all__ = ["Bench", "Entry", "sizes"]

ODD = {(a, b) for a in "biuf" for b in "biuf" if (a == "f") != (b == "f")}  # kinds of dtypes


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
        self.figures = Figures(recipe, known, store, group.asked)

    @property
    def _leave(self) -> dict[str, bool]:
        """What a job is allowed: nothing, unless the recipe says so."""
        return {"allow_fallback": True} if self.recipe.allow_fallback else {}

    # -- scores

    def source_target(self) -> Target:
        """Where the source is scored: the model as given, in its own framework, on the host."""
        return Target(device="local", runtime=scored_by(self.known.source.format))

    def score(self, entries: Iterable[Entry], split: str) -> dict[str, dict[str, Measurement]]:
        """Measurements on a split by candidate id, and of the source under ``source``.

        An entry whose score fails gets its error and is left out. Raises UnreachableError where
        that is the device's doing.
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
        theirs, labels = self.figures.outputs(ended, self.known.source), self.figures.labels(split)
        scored = self._scored(entries, jobs, theirs, labels, split)
        own = self._own_metrics(
            {"source": (source.id, self.known.source)}
            | {e.plan.id: (jobs[e.plan.id].id, e.made) for e in scored},
            split,
        )
        alone = {q: m for q, m in measured_by(own["source"]).items() if q.startswith("metric.")}
        measured = {"source": self.figures.of_source(theirs, split) | alone}
        for entry in scored:
            outputs = self.figures.outputs(self.outcomes[jobs[entry.plan.id].id], entry.made)
            try:
                found = self.figures.of_candidate(outputs, theirs, split)
                measured[entry.plan.id] = found | measured_by(own[entry.plan.id])
            except EdgeoptError as error:
                entry.error = error.record()
        return measured

    def _scored(
        self,
        entries: Iterable[Entry],
        jobs: Mapping[str, Job],
        theirs: Any,
        labels: Any,
        split: str,
    ) -> list[Entry]:
        """The entries that answer, and better than a guess where the source does."""
        ahead = self.figures.lead(theirs, labels)
        if ahead and ahead.lost:
            fed = self.outcomes[self._tensors(self.known.source, self.known.source_job, split).id]
            told = self.figures.why_lost(ahead, theirs, labels, Arrays.model_validate(fed.value))
            self.notes.append(told)
        found = []
        for entry in entries:
            outcome = self.outcomes[jobs[entry.plan.id].id]
            if not outcome.ok:
                _check_reached(outcome)
                entry.error = outcome.error
                continue
            entry.placement = dict(outcome.value.get("placement", {}))
            try:
                outputs = self.figures.outputs(outcome, entry.made)
                _check_shapes(entry.target, outputs, theirs)
                mine = self.figures.lead(aligned(outputs, theirs), labels)
            except EdgeoptError as error:
                entry.error = error.record()
                continue
            if mine and ahead and not ahead.lost and mine.lost_beside(ahead):
                told = f"it is close to guessing: {mine.against(ahead)}"
                entry.error = PassError(told, where=outcome.job).record()
                continue
            found.append(entry)
        if split == "validation":
            self._blame_device(entries)
        return found

    def _own_metrics(
        self, sides: Mapping[str, tuple[str, Description]], split: str
    ) -> dict[str, list[Outcome]]:
        """What became of the recipe's own metrics, by side: (job that scored it, what it is)."""
        source = sides["source"][0]
        jobs = {
            side: metric_jobs(self.recipe, self.known, split, scored, made, source)
            for side, (scored, made) in sides.items()
        }
        several = {job.id: job for each in jobs.values() for job in each}
        if missing := [job for id, job in several.items() if id not in self.outcomes]:
            self.outcomes.update(self.engine.run(missing, self.outcomes))
        return {side: [self.outcomes[job.id] for job in each] for side, each in jobs.items()}

    def _blame_device(self, entries: Iterable[Entry]) -> None:
        """Raise UnreachableError where a board failed every single one: it is not the models."""
        errors = [entry.error for entry in entries]
        if works_here(self.target.device) or not errors:
            return
        if all(error and error["type"] == DeviceError.__name__ for error in errors):
            raise from_record({**(errors[0] or {}), "type": UnreachableError.__name__})

    def sliced(self, entry: Entry, split: str) -> tuple[SliceFigure, ...]:
        """The first metric of a scored entry by class and by the values of each slice."""
        ended = [self.outcomes.get(job.id) for job in
                 (self._entry_job(entry, split), self._source_job(split))]  # fmt: skip
        if not all(outcome and outcome.ok for outcome in ended):
            return ()
        mine, theirs = ended
        assert mine is not None and theirs is not None
        outputs = self.figures.outputs(mine, entry.made)
        return tuple(
            self.figures.sliced(outputs, self.figures.outputs(theirs, self.known.source), split)
        )

    def kept(self, entry: Entry, split: str) -> dict[str, ArrayRef]:
        """Where the store keeps what an entry answered, by output; nothing where it was not."""
        return _refs(self.outcomes.get(self._entry_job(entry, split).id), entry.made)

    def kept_of_source(self, split: str) -> dict[str, ArrayRef]:
        """The same of the source."""
        return _refs(self.outcomes.get(self._source_job(split).id), self.known.source)

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
        version = self.known.version(runtime_named(target.runtime).library)
        key = {"runtime_version": version, "isa": self.known.host_isa}
        return self._score_job(self.known.source_job, "", self.known.source, split, target, key)

    def _entry_job(self, entry: Entry, split: str) -> Job:
        plan, facts = entry.plan, entry.facts
        key = {"runtime_version": facts.runtime_version, "isa": facts.isa}
        if "accelerator" in facts.machine:
            key["accelerator"] = str(facts.machine["accelerator"])
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
            params={"targets": {"model": str(target)}, **self._leave},
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
                **self._leave,
            },
            inputs={"a": first.plan.job, "b": second.plan.job, **tensors},
            cache=False,
        )
        outcome = self.engine.run([job], self.outcomes)[job.id]
        self.outcomes[job.id] = outcome
        if not outcome.ok:
            _check_reached(outcome)
            first.error = first.error or outcome.error
            return {}
        return outcome.value

    def race_reference(self, entry: Entry, reference: Entry, protocol: str, tag: str = "") -> bool:
        """Race an entry against the reference; False where it failed.

        Its times and ratios, and the reference's times ``beside`` it, are all of this race.
        """
        value = self.race(entry, reference, protocol, tag=tag)
        if not value:
            return False
        entry.raced = tag or protocol
        found = {f"ratio.{q}": Measurement.model_validate(m) for q, m in value["ratio"].items()}
        entry.ratios[protocol] = found
        entry.measured |= found | _read(value["a"])
        entry.beside = {
            quantity: m.model_copy(update={"protocol": f"{m.protocol}; beside {entry.plan.label}"})
            for quantity, m in _read(value["b"]).items()
        }
        entry.placement = dict(value.get("placement", {}).get("a", entry.placement))
        return True

    def time_alone(self, reference: Entry, protocol: str) -> None:
        """Times of the reference where nothing can race beside it: it takes both seats."""
        value = self.race(reference, reference, protocol, tag="alone")
        if value:
            reference.measured |= _read(value["a"])
            reference.measured |= at_one(f"ratio.{quantity}" for quantity in value["ratio"])

    def duel(self, entry: Entry, other: Entry, quantity: str) -> None:
        """The direct race of two finalists; both keep its ratio, each from its own side."""
        value = self.race(entry, other, "full", tag="duel")
        if quantity in value.get("ratio", {}):
            found = Measurement.model_validate(value["ratio"][quantity])
            entry.duels[other.plan.id], other.duels[entry.plan.id] = found, inverse(found)

    def memory(self, entry: Entry, reference: Entry) -> None:
        """Peak memory of both, a fresh process each; nothing where the device tells none."""
        if "memory" not in entry.facts.quantities:
            return
        value = self.race(entry, reference, "memory")
        for side, owner in (("a", entry), ("b", reference)):
            owner.measured |= _read(value.get(side, {}))


def _refs(scored: Outcome | None, made: Description) -> dict[str, ArrayRef]:
    """References to the raw values that a score kept, by names and in order of the signature."""
    if scored is None or not scored.ok:
        return {}
    refs = [ArrayRef.model_validate(scored.value["outputs"][n]) for n in scored.value["order"]]
    names = [tensor.name for tensor in made.signature.outputs]
    return dict(zip(names, refs, strict=True)) if len(names) == len(refs) else {}


def _read(figures: Mapping[str, Any]) -> dict[str, Measurement]:
    return {quantity: Measurement.model_validate(raw) for quantity, raw in figures.items()}


def _check_reached(outcome: Outcome) -> None:
    """Raise the UnreachableError that a job ended in: it says nothing of the candidate."""
    if outcome.error and outcome.error["type"] == UnreachableError.__name__:
        raise from_record(outcome.error)


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


def _check_shapes(target: Target, outputs: Mapping[str, Any], source: Mapping[str, Any]) -> None:
    """Raise DeviceError where a board, a stranger, answers what no model of this kind does."""
    if works_here(target.device):
        return
    for (name, mine), theirs in zip(outputs.items(), source.values(), strict=False):
        if mine.shape[1:] != theirs.shape[1:] or (mine.dtype.kind, theirs.dtype.kind) in ODD:
            raise DeviceError(
                f"it answers {mine.dtype}{list(mine.shape[1:])} a sample for '{name}', "
                f"the source {theirs.dtype}{list(theirs.shape[1:])}",
                where=str(target),
            )
