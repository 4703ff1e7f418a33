"""One target on its way through a run: its bench does what its selection asks for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgeopt.decide.decision import Decision
from edgeopt.decide.ending import built
from edgeopt.decide.entry import Entry
from edgeopt.decide.events import DeviceFailed, DeviceLost, Event, ScoreEvent, WorkerLost
from edgeopt.decide.ledger import Ledger
from edgeopt.decide.selection import Selection
from edgeopt.decide.standings import Standings, Terms
from edgeopt.decide.steps import Announce, Done, Race, Score, Step
from edgeopt.pipeline.counted import is_timed
from edgeopt.pipeline.dispatch import bench_for
from edgeopt.pipeline.measure import Bench
from edgeopt.pipeline.missing_quantities import objective_of
from edgeopt.pipeline.work import Work
from edgeopt.schema.errors import DeviceError, UnreachableError, WorkerError
from edgeopt.schema.event import Event as Told
from edgeopt.schema.target import TargetGroup


class Decided(NamedTuple):
    """What was chosen on a target, and how all stood then."""

    decision: Decision
    standings: Standings


@dataclass(frozen=True)
class TargetRun:
    """Who measures a target's candidates, what is known of them, and what chooses among them."""

    bench: Bench
    terms: Terms
    ledger: Ledger
    on_event: Callable[[Told], None]
    deadline: float | None = None

    @property
    def entries(self) -> list[Entry]:
        """The candidates as they were built."""
        return list(self.ledger.entries.values())

    def run(self) -> Decided:
        """Do what a selection asks for until it is done.

        A device that is lost is a decision, too. Raises what stops the whole run.
        """
        selection = Selection(self.terms, self.ledger)
        steps = deque(selection.start())
        while not isinstance(step := steps.popleft(), Done):
            for event in self._after(step):
                steps += selection.tell(event, late=self._is_late())
        return Decided(step.decision, selection.standings)

    def built(self) -> Decided:
        """The decision where nothing is to be measured."""
        standings = Standings(self.terms, self.ledger)
        return Decided(built(standings), standings)

    def scored(self) -> Standings:
        """Figures and verdicts on the validation split, and no choice."""
        standings = Standings(self.terms, self.ledger)
        self._announce(Announce("Scoring on the validation split"))
        alive = [id for id in self.ledger.entries if not standings.failed(id)]
        for event in self._score(Score(tuple(alive), "validation")):
            self.ledger.fold(event)
        standings.judge(alive)
        return standings

    def _after(self, step: Step) -> Sequence[Event]:
        """What came of a step."""
        entries = self.ledger.entries
        try:
            match step:
                case Announce():
                    self._announce(step)
                case Score():
                    return self._score(step)
                case Race():
                    return [self.bench.race(step, entries[step.first], entries[step.second])]
        except UnreachableError as error:
            return [DeviceLost(error)]
        except DeviceError as error:  # nothing can be measured there
            return [DeviceFailed(error)]
        except WorkerError as error:
            if not (isinstance(step, Score) and step.split == "test"):
                raise
            return [WorkerLost(error)]
        return ()

    def _score(self, step: Score) -> Sequence[ScoreEvent]:
        entries = [self.ledger.entries[id] for id in step.ids]
        if step.settings:
            return self.bench.score_under(step.settings, entries, step.split)
        scored = self.bench.score(entries, step.split)
        if step.split == "validation":
            for note in self.bench.notes:
                self.on_event(Told(what="note", text=note))
        return scored

    def _announce(self, step: Announce) -> None:
        self.on_event(Told(what="phase", text=step.text, total=step.jobs))

    def _is_late(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline


def target_run(
    work: Work, group: TargetGroup, entries: Sequence[Entry], reference: str, *,
    quick: bool, raced: bool = True,
) -> TargetRun:  # fmt: skip
    """The run of a target whose candidates are built. ``work`` has the recipe that made them."""
    recipe, known = work.recipe, work.known
    bench = bench_for(group)(recipe, known, work.engine, work.store, work.outcomes, group)
    terms = Terms(
        target=group.asked,
        objective=objective_of(recipe, group.asked, raced=raced),
        constraints=tuple(recipe.parsed_constraints()),
        metrics=tuple(recipe.metric_names),
        test_samples=known.raw["test"].n if "test" in known.raw else 0,
        quick=quick,
        settings=recipe.limits.settings,
        raced=raced,
        counted=not is_timed(group),
    )
    return TargetRun(bench, terms, Ledger(entries, reference), work.on_event, work.deadline)
