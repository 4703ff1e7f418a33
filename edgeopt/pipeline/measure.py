"""Scores and races: from jobs to what was found of each candidate of one target."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from edgeopt.decide.decision import one_line
from edgeopt.decide.entry import Entry
from edgeopt.decide.events import NotRaced, NotScored, Raced, Scored, ScoreEvent, SourceScored
from edgeopt.decide.steps import Race, Settings
from edgeopt.engine import Engine
from edgeopt.evaluation import aligned
from edgeopt.evaluation.chance import Lead
from edgeopt.pipeline.figures import Figures
from edgeopt.pipeline.target_jobs import TargetJobs
from edgeopt.pipeline.user_metrics import measured_by, metric_jobs
from edgeopt.planner import Known
from edgeopt.recipe import Recipe
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import (
    DeviceError,
    EdgeoptError,
    PassError,
    UnreachableError,
    from_record,
    is_loss,
)
from edgeopt.schema.job import ArrayRef, Arrays, Job, Outcome
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import SliceFigure
from edgeopt.schema.target import Target, TargetGroup
from edgeopt.store import Store
from edgeopt.transport.kinds import works_here

ODD = {(a, b) for a in "biuf" for b in "biuf" if (a == "f") != (b == "f")}  # kinds of dtypes


class Bench:
    """Measures the entries of one target, or of all runtimes that it stands for.

    It keeps the outcomes of all jobs that it runs. What it finds it returns.
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
        self.notes: list[str] = []
        self.jobs = TargetJobs(recipe, known)
        self.figures = Figures(recipe, known, store, group.asked)

    def run_by(self, engine: Engine) -> None:
        """Have another engine run its jobs from now on."""
        self.engine = engine

    def _ended(self, jobs: Iterable[Job], split: str) -> None:
        """Run what has no outcome yet.

        On the test split, where only a winner is scored, what was lost with its worker or agent
        is run once more. Raises the error of what is lost again.
        """
        several = {job.id: job for job in jobs}
        missing = [job for id, job in several.items() if id not in self.outcomes]
        if missing:
            self.outcomes.update(self.engine.run(missing, self.outcomes))
        lost = [job for job in missing if split == "test" and is_loss(self.outcomes[job.id].error)]
        if not lost:
            return
        first = self.outcomes[lost[0].id].error or {}
        self.notes.append(f"the test of the winner was run once more: {one_line(first['what'])}")
        ended = {id: o for id, o in self.outcomes.items() if id not in {job.id for job in lost}}
        self.outcomes.update(self.engine.run(lost, ended))
        for job in lost:
            if is_loss(error := self.outcomes[job.id].error):
                raise from_record(error or {})

    # -- scores

    def score(self, entries: Iterable[Entry], split: str) -> list[ScoreEvent]:
        """What the source and each entry scored on a split, or why an entry did not.

        Raises UnreachableError where that is the device's doing; on the test split the error of
        any worker, agent or device that was lost twice.
        """
        entries = list(entries)
        source = self.jobs.source_score(split)
        jobs = {entry.id: self.jobs.score(entry, split) for entry in entries}
        self._ended([*self.jobs.all_tensors(entries, split), source, *jobs.values()], split)
        ended = self.outcomes[source.id]
        if not ended.ok:
            raise from_record(ended.error or {"what": "the source could not be scored"})
        theirs = self.figures.outputs(ended, self.known.source)
        refused = self._refused(entries, jobs, theirs, split)
        sides = {"source": (source.id, self.known.source)} | {
            entry.id: (jobs[entry.id].id, entry.described)
            for entry in entries
            if entry.id not in refused
        }
        users = self._user_metrics(sides, split)
        alone = {q: m for q, m in measured_by(users["source"]).items() if q.startswith("metric.")}
        events: list[ScoreEvent] = [
            SourceScored(split, self.figures.of_source(theirs, split) | alone)
        ]
        for entry in entries:
            if entry.id in refused:
                events.append(refused[entry.id])
            else:
                ended = self.outcomes[jobs[entry.id].id]
                events.append(self._scored(entry, ended, theirs, users[entry.id], split))
        return events

    def _scored(
        self, entry: Entry, ended: Outcome, theirs: Any, users: list[Outcome], split: str
    ) -> Scored | NotScored:
        """Figures of an entry beside the source's outputs, and of the user's own metrics."""
        outputs, placement = self.figures.outputs(ended, entry.described), _placement(ended)
        try:
            measured = self.figures.of_candidate(outputs, theirs, split) | measured_by(users)
        except EdgeoptError as error:
            return NotScored(split, entry.id, error.record(), placement)
        return Scored(split, entry.id, measured, placement)

    def _refused(
        self, entries: Sequence[Entry], jobs: Mapping[str, Job], theirs: Any, split: str
    ) -> dict[str, NotScored]:
        """The entries that do not answer, or no better than a guess where the source does."""
        labels = self.figures.labels(split)
        ahead = self.figures.lead(theirs, labels)
        if ahead and ahead.lost:
            fed = self.outcomes[self.jobs.source_tensors(split).id]
            why = self.figures.why_lost(ahead, theirs, labels, Arrays.model_validate(fed.value))
            self.notes.append(why)
        refused = {}
        for entry in entries:
            ended = self.outcomes[jobs[entry.id].id]
            if not ended.ok:
                _check_reached(ended)
                refused[entry.id] = NotScored(split, entry.id, ended.error)
            elif unsound := self._unsound(entry, ended, theirs, split, ahead):
                refused[entry.id] = unsound
        if split == "validation" and len(refused) == len(entries):
            self._blame_device([event.error for event in refused.values()])
        return refused

    def _unsound(
        self, entry: Entry, ended: Outcome, theirs: Any, split: str, ahead: Lead | None
    ) -> NotScored | None:
        """What is wrong with the answers of an entry: their form, or that they are guesses.

        The figures of guesses are told: they are what it was refused for.
        """
        placement = _placement(ended)
        try:
            outputs = self.figures.outputs(ended, entry.described)
            _check_shapes(entry.target, outputs, theirs)
            mine = self.figures.lead(aligned(outputs, theirs), self.figures.labels(split))
        except EdgeoptError as error:
            return NotScored(split, entry.id, error.record(), placement)
        if not (mine and ahead and not ahead.lost and mine.lost_beside(ahead)):
            return None
        guess = PassError(f"it is close to guessing: {mine.against(ahead)}", where=ended.job)
        measured: dict[str, Measurement] = {}
        with contextlib.suppress(EdgeoptError):  # its answers may all be alike
            measured = self.figures.of_candidate(outputs, theirs, split)
        return NotScored(split, entry.id, guess.record(), placement, measured)

    def _user_metrics(
        self, sides: Mapping[str, tuple[str, Description]], split: str
    ) -> dict[str, list[Outcome]]:
        """What became of the user's own metrics, by side: (job that scored it, what it is)."""
        source = sides["source"][0]
        jobs = {
            side: metric_jobs(self.recipe, self.known, split, scored, described, source)
            for side, (scored, described) in sides.items()
        }
        self._ended((job for each in jobs.values() for job in each), split)
        return {side: [self.outcomes[job.id] for job in each] for side, each in jobs.items()}

    def _blame_device(self, errors: Sequence[dict[str, str] | None]) -> None:
        """Raise UnreachableError where a board failed every single one: it is not the models."""
        if works_here(self.target.device) or not errors:
            return
        if all(error and error["type"] == DeviceError.__name__ for error in errors):
            raise from_record({**(errors[0] or {}), "type": UnreachableError.__name__})

    def sliced(self, entry: Entry, split: str) -> tuple[SliceFigure, ...]:
        """The first metric of a scored entry by class and by the values of each slice."""
        ended = [self.outcomes.get(job.id) for job in
                 (self.jobs.score(entry, split), self.jobs.source_score(split))]  # fmt: skip
        if not all(outcome and outcome.ok for outcome in ended):
            return ()
        mine, theirs = ended
        assert mine is not None and theirs is not None
        outputs = self.figures.outputs(mine, entry.described)
        return tuple(
            self.figures.sliced(outputs, self.figures.outputs(theirs, self.known.source), split)
        )

    def kept(self, entry: Entry, split: str) -> dict[str, ArrayRef]:
        """Where the store keeps what an entry answered, by output; nothing where it was not."""
        return _refs(self.outcomes.get(self.jobs.score(entry, split).id), entry.described)

    def kept_of_source(self, split: str) -> dict[str, ArrayRef]:
        """The same of the source."""
        return _refs(self.outcomes.get(self.jobs.source_score(split).id), self.known.source)

    # -- races

    def score_under(
        self, settings: Settings, entries: Iterable[Entry], split: str
    ) -> list[ScoreEvent]:
        """As ``score``, under settings of the entries' targets.

        Raises UsageError for settings that a runtime does not have.
        """
        events = self.score([entry.under(settings) for entry in entries], split)
        return [
            event if isinstance(event, SourceScored) else replace(event, settings=settings)
            for event in events
        ]

    def race(self, race: Race, first: Entry, second: Entry) -> Raced | NotRaced:
        """What a race of two entries showed, or that it failed or time ran out.

        The first runs under the race's settings. Raises UnreachableError where the device was
        lost, UsageError for settings that the runtime does not have.
        """
        job = self.jobs.race(race, first.under(race.settings), second)
        outcome = self.engine.run([job], self.outcomes)[job.id]
        self.outcomes[job.id] = outcome
        if not outcome.ok:
            _check_reached(outcome)
            return NotRaced(race, outcome.error)
        value = outcome.value
        if not value:
            return NotRaced(race, None)
        ratios = _read(value.get("ratio", {}))
        return Raced(
            race,
            first=_read(value.get("a", {})),
            second=_read(value.get("b", {})),
            ratios={f"ratio.{quantity}": ratio for quantity, ratio in ratios.items()},
            placement=value.get("placement", {}).get("a"),
        )


def _placement(scored: Outcome) -> dict[str, int]:
    return dict(scored.value.get("placement", {}))


def _refs(scored: Outcome | None, d: Description) -> dict[str, ArrayRef]:
    """References to the raw values that a score kept, by names and in order of the signature."""
    if scored is None or not scored.ok:
        return {}
    refs = [ArrayRef.model_validate(scored.value["outputs"][n]) for n in scored.value["order"]]
    names = [tensor.name for tensor in d.signature.outputs]
    return dict(zip(names, refs, strict=True)) if len(names) == len(refs) else {}


def _read(figures: Mapping[str, Any]) -> dict[str, Measurement]:
    return {quantity: Measurement.model_validate(raw) for quantity, raw in figures.items()}


def _check_reached(outcome: Outcome) -> None:
    """Raise the UnreachableError that a job ended in: it says nothing of the candidate."""
    if outcome.error and outcome.error["type"] == UnreachableError.__name__:
        raise from_record(outcome.error)


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
