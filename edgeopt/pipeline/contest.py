"""The contest on one target: score all, race the feasible, choose, time afresh, test once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from edgeopt.decide.choose import judge_all, lost_to, nearest_miss, ranked, standing, worst
from edgeopt.decide.front import pareto_front
from edgeopt.decide.leading import leading_metric
from edgeopt.decide.stages import stage_figures
from edgeopt.pipeline.measure import Bench, Entry, sizes
from edgeopt.schema.constraint import Constraint, Verdict
from edgeopt.schema.errors import UnreachableError
from edgeopt.schema.event import Event
from edgeopt.schema.measurement import Measurement, figure, span
from edgeopt.schema.result import CandidateStatus, StageFigure
from edgeopt.schema.shown import less_is_better

FINALISTS = 3
AGAINST = "the reference, which all others race against"
EXIT = {"chosen": 0, "built": 0, "unmet": 3, "refused-on-test": 3, "inconclusive": 4,
        "unreachable": 5}  # fmt: skip
Word = Literal["chosen", "unmet", "inconclusive", "refused-on-test", "built", "unreachable"]


@dataclass
class Decision:
    """What came of the contest."""

    verdict: Word
    sentence: str
    chosen: Entry | None = None
    nearest_miss: str | None = None
    test: dict[str, Any] = field(default_factory=dict)
    error: UnreachableError | None = None  # the device was lost

    @property
    def exit_code(self) -> int:
        """0 chosen, 3 unmet or refused on test, 4 inconclusive, 5 unreachable."""
        return EXIT[self.verdict]


class Contest:
    """Runs the phases in order; ``entries`` and ``reference`` keep what was measured."""

    ratio = "ratio.latency.p50"  # what stands for speed
    protocol = "short"  # the cheapest race that gives it

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
        self.score()
        contenders = self._standing_as("feasible", "pending")
        if contenders:
            self._short_races([*contenders, *self._beside_stages(contenders)])
        if self.quick:
            self._measure_memory("pending")
            order = self._order([e for e in self._standing_as("feasible") if e.raced])
            return self._tested(order[0]) if order else self._nobody()
        finalists = self._order(self._standing_as("feasible", "pending"))[:FINALISTS]
        self._full_races(finalists)
        finalists = self._order(
            [e for e in self._standing_as("feasible") if e.raced in ("full", "final")]
        )
        chosen = self._final(finalists)
        if chosen is None:
            return self._nobody()
        return self._tested(chosen)

    def score(self) -> None:
        """Figures and verdicts of every entry on the validation split."""
        self._phase("Scoring on the validation split")
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
        self._phase(f"Racing {len(entries)} candidates against the reference, short", len(entries))
        for entry in entries:
            if self._late():
                return
            self.bench.race_reference(entry, self.reference, "short")
        self._judge(entries)
        if self.objective.startswith("memory."):
            self._measure_memory("feasible", "pending")

    def _beside_stages(self, contenders: Sequence[Entry]) -> list[Entry]:
        """Others that show what stages do to speed, feasible or not: with a stage, or without."""
        if not any(e.plan.stages for e in self._eligible()):
            return []
        return [e for e in self._eligible() if e.error is None and e not in contenders]

    def stages(self) -> tuple[StageFigure, ...]:
        """What each stage did to speed, wherever both sides were raced."""
        plans = [e.plan for e in self.entries]
        measured = {e.plan.id: e.measured for e in self.entries}
        return stage_figures(plans, measured, self.ratio)

    def _measure_memory(self, *words: str) -> None:
        entries = [e for e in self._standing_as(*words) if e.raced]
        for entry in entries:
            self.bench.memory(entry, self.reference)
        self._judge(entries)

    def _full_races(self, entries: list[Entry]) -> None:
        self._phase(f"Racing the best {len(entries)} in full", 2 * len(entries))
        for entry in entries:
            if self._late():
                return
            if self.bench.race_reference(entry, self.reference, "full"):
                self.bench.memory(entry, self.reference)
        self._judge(entries)

    def _final(self, finalists: list[Entry]) -> Entry | None:
        """Time the best afresh beside reference and runner-up; the faster of a clear duel wins."""
        while finalists:
            best, others = finalists[0], finalists[1:]
            self._phase("Timing the winner afresh beside the runner-up and the reference")
            if not self.bench.race_reference(best, self.reference, "full", tag="final"):
                finalists = others
                continue
            self._judge([best])
            if self._stands(best) != "feasible":
                finalists = others
                continue
            if others and self.objective.startswith("latency."):
                duel = self.bench.duel(others[0], best)
                if duel is not None and duel.interval[1] < 1.0:
                    finalists = [others[0], best, *others[1:]]
                    others[0].duels.clear()
                    best.duels[others[0].plan.id] = _inverse(duel)
                    return self._overtake(finalists)
            return best
        return None

    def _overtake(self, finalists: list[Entry]) -> Entry:
        """The runner-up was faster in the direct race: it wins if its fresh figures hold too."""
        runner_up, best = finalists[0], finalists[1]
        held = self.bench.race_reference(runner_up, self.reference, "full", tag="final")
        self._judge([runner_up])
        return runner_up if held and self._stands(runner_up) == "feasible" else best

    def _tested(self, chosen: Entry) -> Decision:
        split = "test"
        told = f"{self._name(chosen)} is the best measured artifact"
        if split not in self.bench.known.raw:
            note = "not tested: the data has no test split"
            return Decision("chosen", f"{told}; {note}", chosen, test={"not_tested": note})
        self._phase("Scoring the winner once on the test split")
        measured = self.bench.score([chosen], split)
        if chosen.plan.id not in measured:
            raise_error = chosen.error or {}
            sentence = f"{told}, but it failed on the test split: {raise_error.get('what', '')}"
            return Decision("refused-on-test", sentence, chosen, test={"error": raise_error})
        figures = measured[chosen.plan.id]
        source = measured["source"]
        constraints = [c for c in self._constraints(chosen) if c.quantity in figures]
        verdicts = judge_all(constraints, figures, source)
        test = {
            "n": self.bench.known.raw[split].n,
            "measurements": {k: m.to_json() for k, m in figures.items()},
            "source": {k: m.to_json() for k, m in source.items()},
            "verdicts": [v.to_json() for v in verdicts],
        }
        stands = standing(constraints, verdicts)
        if stands == "feasible":
            return Decision("chosen", f"{told}; it holds on the test split", chosen, test=test)
        bad = worst(verdicts)
        assert bad is not None
        word: Word = "refused-on-test" if stands == "infeasible" else "inconclusive"
        return Decision(
            word,
            f"{told} on validation, but on the test split: {bad.sentence}",
            chosen,
            chosen.plan.id,
            test,
        )

    def _nobody(self) -> Decision:
        missed = {e.plan.id: self.verdicts.get(e.plan.id, ()) for e in self._eligible()}
        near = nearest_miss(missed)
        if near is None:
            broken = [e for e in self._eligible() if e.error]
            why = (broken[0].error or {}).get("what", "") if broken else "time ran out"
            return Decision("inconclusive", f"no candidate could be measured: {why}")
        bad = worst(missed[near])
        assert bad is not None
        name = next(self._name(e) for e in self.entries if e.plan.id == near)
        undecided = [e for e in self._eligible() if self._stands(e) == "inconclusive"]
        if undecided:
            return Decision(
                "inconclusive",
                f"no candidate is proven to meet the constraints; nearest: {name}: {bad.sentence}",
                nearest_miss=near,
            )
        return Decision(
            "unmet",
            f"no candidate meets the constraints; nearest miss: {name}: {bad.sentence}",
            nearest_miss=near,
        )

    # -- standing

    def standing_of(self, entry: Entry, decision: Decision) -> tuple[CandidateStatus, str]:
        """Status and reason of an entry in the result."""
        if entry.error is not None:
            return "failed", _error_sentence(entry)
        if decision.verdict in ("built", "unreachable"):
            return "unmeasured", (
                "built and checked, not measured" if decision.verdict == "built"
                else "the device was lost before it was decided"
            )  # fmt: skip
        if entry is decision.chosen:
            return "chosen", decision.sentence.removeprefix(f"{self._name(entry)} is ")
        if not entry.plan.eligible:
            return "reference", f"the source converted, nothing else: {AGAINST}"
        stands = self._stands(entry)
        bad = worst(self.verdicts.get(entry.plan.id, ()))
        if stands == "infeasible" and bad:
            return "infeasible", bad.sentence
        if stands == "inconclusive" and bad:
            return "inconclusive", bad.sentence
        if decision.chosen is None or not entry.raced:
            return "unmeasured", "not raced: the time limit was reached"
        if entry.raced == "short" and not self.quick and entry is self.reference:
            return (
                "screened",
                f"{AGAINST}; raced against itself, it shows the noise of a short race",
            )
        if entry.raced == "short" and not self.quick:
            ratio = entry.measured["ratio.latency.p50"]
            return "screened", f"{FINALISTS} others were ahead in the short race: {_told(ratio)}"
        mine, theirs = entry.measured, decision.chosen.measured
        duel = entry.duels.get(decision.chosen.plan.id)
        return "lost", lost_to(self.objective, mine, theirs, duel)

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
        return tuple(c.text for c in self._constraints(entry) if c.quantity not in entry.measured)

    def front(self) -> set[str]:
        """Ids on the Pareto front of objective ratio against the leading metric."""
        metric, quantity = self.metric, self.ratio
        points = {}
        for entry in self._eligible():
            if quantity in entry.measured and metric in entry.measured:
                good = entry.measured[metric]
                sign = 1 if less_is_better(metric, good) else -1
                points[entry.plan.id] = (entry.measured[quantity].value, sign * good.value)
        on = pareto_front(list(points.values()))
        return {id for id, kept in zip(points, on, strict=True) if kept}

    def _name(self, entry: Entry) -> str:
        """The chain, and the runtime where there is a choice of them."""
        label = entry.plan.label
        return f"{label} in {entry.target.runtime}" if self.bench.target.every else label

    def _everyone(self) -> list[Entry]:
        return list({e.plan.id: e for e in (*self.entries, self.reference)}.values())

    def _eligible(self) -> list[Entry]:
        return [e for e in self.entries if e.plan.eligible]

    def _judge(self, entries: Sequence[Entry]) -> None:
        source: dict[str, Measurement] = self.bench.source
        for entry in entries:
            if entry.error is None:
                self.verdicts[entry.plan.id] = judge_all(
                    self._constraints(entry), entry.measured, source
                )

    def _constraints(self, entry: Entry) -> list[Constraint]:
        """Those that hold for the target as asked, or for the runtime that the entry runs in."""
        places = (str(self.bench.target), str(entry.target))
        return [c for c in self.asked if any(c.applies(place) for place in places)]

    def _stands(self, entry: Entry) -> str:
        return standing(self._constraints(entry), self.verdicts.get(entry.plan.id, ()))

    def _standing_as(self, *words: str) -> list[Entry]:
        return [e for e in self._eligible() if e.error is None and self._stands(e) in words]

    def _order(self, entries: Sequence[Entry]) -> list[Entry]:
        by_id = {e.plan.id: e for e in entries}
        ids = ranked(self.objective, {id: e.measured for id, e in by_id.items()})
        return [by_id[id] for id in ids]

    def _late(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline

    def _phase(self, text: str, jobs: int | None = None) -> None:
        self.on_event(Event(what="phase", text=text, total=jobs))


def _told(ratio: Measurement) -> str:
    return f"{figure(ratio.value, 'x')} ({span(*ratio.interval, 'x')}) the reference's p50 latency"


def _inverse(ratio: Measurement) -> Measurement:
    low, high = ratio.interval
    return ratio.model_copy(update={"value": 1 / ratio.value, "low": 1 / high, "high": 1 / low})


def _error_sentence(entry: Entry) -> str:
    error = entry.error or {}
    where = error.get("where", "")
    return f"{where}: {error.get('what', '')}" if where else error.get("what", "failed")
