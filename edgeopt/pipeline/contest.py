"""The contest on one target: score all, race the feasible, choose, time afresh, test once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from edgeopt.decide.choose import first_of_ties, judge_all, ranked, standing
from edgeopt.decide.front import pareto_front
from edgeopt.decide.leading import leading_metric
from edgeopt.decide.proof import Proof, inverse, is_raced, is_tie, proof
from edgeopt.decide.stages import stage_figures
from edgeopt.pipeline.decision import Decision
from edgeopt.pipeline.ending import failed, nobody, tested
from edgeopt.pipeline.measure import Bench, Entry, sizes
from edgeopt.pipeline.standing import standing_of
from edgeopt.schema.base import counted
from edgeopt.schema.constraint import Constraint, Verdict
from edgeopt.schema.event import Event
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import CandidateStatus, StageFigure
from edgeopt.schema.shown import less_is_better

KINDS = ("full", "short", "count")  # of races, the most exact first


class Contest:
    """Runs the phases in order; ``entries`` and ``reference`` keep what was measured.

    The reference contends where one of the recipe's own chains ends in it, at exactly 1.00x: it is
    raced beside the others and never against itself.
    """

    ratio = "ratio.latency.p50"  # what stands for speed
    protocol = "short"  # the cheapest race that gives it
    finalists = 3  # how many race in full

    def __init__(
        self,
        bench: Bench,
        entries: list[Entry],
        reference: Entry,
        on_event: Callable[[Event], None],
        deadline: float | None,
        quick: bool = False,
    ) -> None:
        self.bench, self.entries, self.reference = bench, entries, reference
        self.quick = quick
        self.on_event, self.deadline = on_event, deadline
        self.objective = bench.recipe.objective_for(bench.target)
        self.asked: tuple[Constraint, ...] = bench.recipe.parsed_constraints()
        self.verdicts: dict[str, tuple[Verdict, ...]] = {}

    # -- phases

    def run(self) -> Decision:
        """Score, race, choose, test. Quick: one short race each, and none afresh.

        Raises UnreachableError where the device is lost, and what stops the whole run.
        """
        if broken := failed(self):
            return broken
        self.score()
        if broken := failed(self):
            return broken
        contenders = self.standing_as("feasible", "pending")
        if contenders:
            self._short_races([*contenders, *self._beside_stages(contenders)])
        if self.quick:
            self._measure_memory("pending")
            order = self._order([e for e in self.standing_as("feasible") if e.raced])
            self._time_reference(order)
            return tested(self, order[0]) if order else nobody(self)
        finalists = self._order(self.standing_as("feasible", "pending"))[: self.finalists]
        self._full_races(finalists)
        finalists = self._order(
            [e for e in self.standing_as("feasible") if e.raced in ("full", "final")]
        )
        chosen = self._final(finalists)
        if chosen is None:
            return nobody(self)
        self._time_reference([chosen, *finalists])
        return tested(self, chosen)

    def built(self) -> Decision:
        """The decision where nothing is to be measured."""
        made = sum(e.error is None for e in self.eligible())
        told = f"{counted(made, 'candidate')} built and checked; nothing was measured"
        return failed(self) or Decision("built", told)

    def score(self) -> None:
        """Figures and verdicts of every entry on the validation split."""
        self.phase("Scoring on the validation split")
        alive = [e for e in self._everyone() if e.error is None]
        measured = self.bench.score(alive, "validation")
        self.bench.source = measured.pop("source")
        for note in self.bench.notes:
            self.on_event(Event(what="note", text=note))
        for entry in alive:
            entry.measured.update(measured.get(entry.plan.id, {}))
        sizes(alive, self.reference)
        self._judge(alive)

    def _short_races(self, entries: list[Entry]) -> None:
        others = [entry for entry in entries if entry is not self.reference]
        text = f"Racing {counted(len(others), 'candidate')} against the reference, {self.protocol}"
        self.phase(text, len(others))
        self._race_each(others, self.protocol)
        if self.reference in entries:
            self._seat_reference(self.protocol)
        self._judge(entries)
        if self.objective.startswith("memory."):
            self._measure_memory("feasible", "pending")

    def _race_each(self, others: Sequence[Entry], protocol: str) -> None:
        """Race each against the reference, as long as there is time."""
        for entry in others:
            if self.late():
                return
            self._race(entry, protocol)

    def _race(self, entry: Entry, protocol: str, tag: str = "") -> None:
        if self.bench.race_reference(entry, self.reference, protocol, tag):
            self.reference.stand_beside(entry)

    def _seat_reference(self, protocol: str) -> None:
        """Let the reference contend: by its time beside the others, or alone without any."""
        if not self.reference.timed_beside and not self.late():
            self.bench.time_alone(self.reference, protocol)
        if self.ratio in self.reference.measured:
            self.reference.raced = protocol

    def _time_reference(self, order: Sequence[Entry]) -> None:
        """Show the reference's time of the race beside the first of the others."""
        beside = next((e for e in order if e is not self.reference and e.beside), None)
        if beside is not None:
            self.reference.stand_beside(beside)
            self._judge([self.reference])

    def _beside_stages(self, contenders: Sequence[Entry]) -> list[Entry]:
        """Others that show what stages do to speed, feasible or not: with a stage, or without."""
        if not any(e.plan.stages for e in self.eligible()):
            return []
        return [e for e in self.eligible() if e.error is None and e not in contenders]

    def stages(self) -> tuple[StageFigure, ...]:
        """What each stage did to speed, wherever both sides were raced."""
        plans = [e.plan for e in self.entries]
        measured = {e.plan.id: e.measured for e in self.entries}
        return stage_figures(plans, measured, self.ratio)

    def _measure_memory(self, *words: str) -> None:
        self._weigh([e for e in self.standing_as(*words) if e.raced])

    def _weigh(self, entries: Sequence[Entry]) -> None:
        """Peak memory of each; the reference's comes with that of any other."""
        for entry in sorted(entries, key=lambda e: e is self.reference):
            if entry is not self.reference or "memory.peak" not in entry.measured:
                self.bench.memory(entry, self.reference)
        self._judge(entries)

    def _full_races(self, entries: list[Entry]) -> None:
        others = [entry for entry in entries if entry is not self.reference]
        best = f"the best {len(entries)}" if len(entries) > 1 else "the best"
        self.phase(f"Racing {best} in full", 2 * len(others))
        self._race_each(others, "full")
        if self.reference in entries:
            self._seat_reference("full")
        self._weigh([e for e in entries if e.error is None and e.raced == "full"])

    # -- the final

    def _final(self, finalists: list[Entry]) -> Entry | None:
        """Time the best afresh beside reference and runner-up.

        Of a clear direct race the faster wins, of a tie the smaller file.
        """
        while finalists:
            best, others = finalists[0], finalists[1:]
            self.phase("Timing the winner afresh beside the runner-up and the reference")
            if not self._afresh(best, others[:1]):
                finalists = others
                continue
            if others and others[0].error is None and is_raced(self.objective):
                runner_up = others[0]
                race = self._side_by_side(runner_up, best)
                if race is not None and self._overtakes(runner_up, best, race):
                    held = self._afresh(runner_up, [best])
                    return runner_up if held else best
            return best
        return None

    def _afresh(self, best: Entry, others: Sequence[Entry]) -> bool:
        """Race the best against the reference once more; whether it still holds.

        Where it is the reference, the first of ``others`` is raced beside it.
        """
        sides = others if best is self.reference else [best]
        for entry in sides:
            self._race(entry, "full", "final")
        self._judge([best, *sides])
        return best.error is None and self.stands(best) == "feasible"

    def _side_by_side(self, one: Entry, other: Entry) -> Measurement | None:
        """The direct race of two, one over the other: the reference had it with everyone."""
        if self.reference not in (one, other):
            self.bench.duel(one, other, self.objective)
        return self.direct(one, other)

    def _overtakes(self, runner_up: Entry, best: Entry, race: Measurement) -> bool:
        if is_tie(race):
            return self.size(runner_up) < self.size(best)
        return race.interval[1] < 1.0

    # -- proof

    def direct(self, one: Entry, other: Entry) -> Measurement | None:
        """One over the other by the objective, from a race side by side; None without one."""
        name = f"ratio.{self.objective}"
        if not is_raced(self.objective):
            return None
        if other is self.reference:
            return one.measured.get(name)
        if one is self.reference:
            return inverse(other.measured[name]) if name in other.measured else None
        return one.duels.get(other.plan.id)

    def in_one_kind_of_race(
        self, one: Entry, other: Entry
    ) -> tuple[Measurement | None, Measurement | None]:
        """The objective's figures of two from the same kind of race, the most exact they share."""
        name = f"ratio.{self.objective}"
        for kind in KINDS:
            both = [entry.ratios.get(kind, {}).get(name) for entry in (one, other)]
            if None not in both:
                return both[0], both[1]
        mine, theirs = (
            e.measured.get(name) or e.measured.get(self.objective) for e in (one, other)
        )
        return mine, theirs

    def proven(self, one: Entry, other: Entry) -> Proof:
        """Whether one is proven better than the other by the objective."""
        figures = self.in_one_kind_of_race(one, other)
        return proof(self.objective, self.direct(one, other), *figures)

    # -- standing

    def standing_of(self, entry: Entry, decision: Decision) -> tuple[CandidateStatus, str]:
        """Status and reason of an entry in the result."""
        return standing_of(self, entry, decision)

    @property
    def metric(self) -> str:
        """The quantity that the result is about, and that is set against speed."""
        places = [str(self.bench.target), *(str(entry.target) for entry in self.entries)]
        bound = [c for c in self.asked if any(c.applies(place) for place in places)]
        known = dict.fromkeys(name for entry in self._everyone() for name in entry.measured)
        recipe = self.bench.recipe
        return leading_metric(bound, self.objective, recipe.metric_names, known)

    def unjudged(self, entry: Entry) -> tuple[str, ...]:
        """The constraints on an entry whose quantity was not measured of it."""
        return tuple(c.text for c in self.constraints(entry) if c.quantity not in entry.measured)

    def front(self) -> set[str]:
        """Ids on the Pareto front of objective ratio against the leading metric."""
        metric, quantity = self.metric, self.ratio
        points = {}
        for entry in self.eligible():
            if quantity in entry.measured and metric in entry.measured:
                good = entry.measured[metric]
                sign = 1 if less_is_better(metric, good) else -1
                points[entry.plan.id] = (entry.measured[quantity].value, sign * good.value)
        on = pareto_front(list(points.values()))
        return {id for id, kept in zip(points, on, strict=True) if kept}

    def name(self, entry: Entry) -> str:
        """The chain, and the runtime where there is a choice of them."""
        label = entry.plan.label
        return f"{label} in {entry.target.runtime}" if self.bench.target.every else label

    def _everyone(self) -> list[Entry]:
        return list({e.plan.id: e for e in (*self.entries, self.reference)}.values())

    def eligible(self) -> list[Entry]:
        """The recipe's own choices."""
        return [e for e in self.entries if e.plan.eligible]

    def _judge(self, entries: Sequence[Entry]) -> None:
        source: dict[str, Measurement] = self.bench.source
        for entry in entries:
            if entry.error is None:
                self.verdicts[entry.plan.id] = judge_all(
                    self.constraints(entry), entry.measured, source
                )

    def constraints(self, entry: Entry) -> list[Constraint]:
        """Those that hold for the target as asked, or for the runtime that the entry runs in."""
        places = (str(self.bench.target), str(entry.target))
        return [c for c in self.asked if any(c.applies(place) for place in places)]

    def stands(self, entry: Entry) -> str:
        """``feasible``, ``infeasible``, ``inconclusive`` or ``pending``."""
        return standing(self.constraints(entry), self.verdicts.get(entry.plan.id, ()))

    def standing_as(self, *words: str) -> list[Entry]:
        """The choices that stand as one of the words, without those that failed."""
        return [e for e in self.eligible() if e.error is None and self.stands(e) in words]

    def _order(self, entries: Sequence[Entry]) -> list[Entry]:
        """By the objective; of those that tie with the best, the smallest file comes first."""
        by_id = {e.plan.id: e for e in entries}
        by = first_of_ties if is_raced(self.objective) else ranked
        found = [
            by_id[id] for id in by(self.objective, {id: e.measured for id, e in by_id.items()})
        ]
        if self.reference not in found:
            return found
        races = {e.plan.id: self.direct(e, found[0]) for e in found[1:]
                 if self.reference in (e, found[0])}  # fmt: skip
        tied = [e for e in found[1:] if (race := races.get(e.plan.id)) and is_tie(race)]
        first = min([found[0], *tied], key=self.size)
        return [first, *(entry for entry in found if entry is not first)]

    def size(self, entry: Entry) -> float:
        """Bytes of an entry's files."""
        found = entry.measured.get("size")
        return found.value if found else 0.0

    def late(self) -> bool:
        """Whether the time limit was reached."""
        return self.deadline is not None and time.monotonic() > self.deadline

    def phase(self, text: str, jobs: int | None = None) -> None:
        """Tell listeners what begins now."""
        self.on_event(Event(what="phase", text=text, total=jobs))
