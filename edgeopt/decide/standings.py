"""How a target's candidates stand: verdicts, order, proofs. It reads a ledger and races nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgeopt.decide.choose import first_of_ties, judge_all, ranked, standing
from edgeopt.decide.elimination import Elimination
from edgeopt.decide.front import pareto_front
from edgeopt.decide.leading import leading_metric
from edgeopt.decide.ledger import Ledger
from edgeopt.decide.proof import Proof, bulk, inverse, is_raced, is_tie, proof, quotient
from edgeopt.decide.stages import stage_figures
from edgeopt.schema.constraint import Constraint, Verdict
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import StageFigure
from edgeopt.schema.shown import less_is_better
from edgeopt.schema.target import Target

PROTOCOLS = ("full", "short", "count")  # of races, the most exact first
FINALISTS = 3  # of whom memory is measured, and who is timed afresh if the winner fails


@dataclass(frozen=True)
class Terms:
    """What is asked of the candidates of a target."""

    target: Target  # as it was asked for, such as local/*
    objective: str
    constraints: tuple[Constraint, ...]  # of all targets
    metrics: tuple[str, ...] = ()  # that the recipe lists
    test_samples: int = 0  # of the test split; 0 without one
    quick: bool = False  # one short race each, and none afresh
    settings: int = 0  # of targets that leave them open: how many each finalist races under
    raced: bool = True  # False: scores and sizes decide, and nothing is raced or counted
    counted: bool = False  # the device has no time: instructions are counted

    @property
    def ratio(self) -> str:
        """What stands for speed."""
        return "ratio.instructions" if self.counted else "ratio.latency.p50"

    @property
    def ranking(self) -> str:
        """The ratio that candidates are told apart by: the objective's, where a race gives one."""
        return f"ratio.{self.objective}" if is_raced(self.objective) else self.ratio

    @property
    def protocol(self) -> str:
        """The cheapest race that gives the ratio."""
        return "count" if self.counted else "short"


class Standings:
    """Verdicts on candidates, by id, and all that follows from them and the ledger."""

    def __init__(self, terms: Terms, ledger: Ledger) -> None:
        self.terms, self.ledger = terms, ledger
        self.verdicts: dict[str, tuple[Verdict, ...]] = {}

    # -- verdicts

    def judge(self, ids: Iterable[str]) -> None:
        """Judge candidates by what is known of them now; those that failed keep their verdicts."""
        for id in ids:
            record = self.ledger[id]
            if record.error is None:
                self.verdicts[id] = judge_all(
                    self.constraints(id), record.measured, self.ledger.source
                )

    def constraints(self, id: str) -> list[Constraint]:
        """Those that hold for the target as asked, or for the runtime that it runs in."""
        places = (str(self.terms.target), str(self.ledger.entries[id].target))
        return [c for c in self.terms.constraints if any(c.applies(place) for place in places)]

    def stands(self, id: str) -> str:
        """``feasible``, ``infeasible``, ``inconclusive`` or ``pending``."""
        return standing(self.constraints(id), self.verdicts.get(id, ()))

    def is_open(self, id: str) -> bool:
        """Whether nothing but races can still tell whether it meets the constraints."""
        judged = self.verdicts.get(id, ())
        unsure = [v.quantity for v in judged if v.verdict == "inconclusive"]
        return all(v.verdict != "fail" for v in judged) and all(map(is_raced, unsure))

    def unjudged(self, id: str) -> tuple[str, ...]:
        """The constraints on a candidate whose quantity was not measured of it."""
        measured = self.ledger[id].measured
        return tuple(c.text for c in self.constraints(id) if c.quantity not in measured)

    # -- who there is

    @property
    def reference(self) -> str:
        """The candidate that all others race against."""
        return self.ledger.reference

    def name(self, id: str) -> str:
        """The chain, and the runtime where there is a choice of them, as in a result's tables."""
        entry = self.ledger.entries[id]
        label = entry.plan.label
        return f"{entry.target.runtime}: {label}" if self.terms.target.every else label

    def eligible(self) -> list[str]:
        """The recipe's own choices."""
        return [id for id, entry in self.ledger.entries.items() if entry.plan.eligible]

    def failed(self, id: str) -> bool:
        """Whether there is an error of it."""
        return self.ledger[id].error is not None

    def standing_as(self, *words: str) -> list[str]:
        """The choices that stand as one of the words, without those that failed."""
        return [id for id in self.eligible() if not self.failed(id) and self.stands(id) in words]

    def raced(self, ids: Iterable[str], *names: str) -> list[str]:
        """Those of the candidates whose last race was one of these, or any."""
        last = {id: self.ledger[id].raced for id in ids}
        return [id for id, name in last.items() if (name in names if names else name)]

    def places(self, ids: Iterable[str]) -> dict[str, tuple[float, float]]:
        """Of those that tie, the least wins: by size, then by the leading metric."""
        metric, places = self.metric, {}
        for id in ids:
            figure = self.ledger[id].measured.get(metric)
            sign = 1 if figure is None or less_is_better(metric, figure) else -1
            places[id] = (
                bulk(self.ledger[id].measured),
                sign * (float("inf") if figure is None else figure.value),
            )
        return places

    def place(self, id: str) -> tuple[float, float]:
        """``places`` of one."""
        return self.places([id])[id]

    # -- order and proof

    def order(self, ids: Sequence[str]) -> list[str]:
        """By the objective; of those that tie with the best, the one by ``place`` comes first."""
        objective, measured = self.terms.objective, {id: self.ledger[id].measured for id in ids}
        raced = is_raced(objective)
        places = self.places(ids)
        order = first_of_ties(objective, measured, places) if raced else ranked(objective, measured)
        if self.reference not in order:
            return order
        best, *others = order
        races = {id: self.direct(id, best) for id in others if self.reference in (id, best)}
        tied = [id for id in others if (race := races.get(id)) and is_tie(race)]
        first = min([best, *tied], key=places.__getitem__)
        return [first, *(id for id in order if id != first)]

    def elimination(self, ids: Iterable[str]) -> Elimination:
        """Who of the candidates is still in the running, by races of one kind."""
        ratio, known = self.terms.ranking, {}
        for id in ids:
            record = self.ledger[id]
            found = record.ratios.get(self.terms.protocol, {}).get(ratio)
            if id == self.reference:
                found = record.measured.get(ratio)
            if found is not None and record.error is None:
                known[id] = found
        certain = [id for id in known if self.stands(id) in ("feasible", "pending")]
        return Elimination(known, self.places(known), certain, self.reference)

    def direct(self, one: str, other: str) -> Measurement | None:
        """One over the other by the objective, from a race side by side; None without one."""
        ratio = f"ratio.{self.terms.objective}"
        if not is_raced(self.terms.objective):
            return None
        if other == self.reference:
            return self.ledger[one].measured.get(ratio)
        if one == self.reference:
            measured = self.ledger[other].measured
            return inverse(measured[ratio]) if ratio in measured else None
        return self.ledger.head_to_head(one, other, ratio)

    def in_one_kind_of_race(
        self, one: str, other: str
    ) -> tuple[Measurement | None, Measurement | None]:
        """The objective's figures of two from the same kind of race, the most exact they share."""
        ratio = f"ratio.{self.terms.objective}"
        records = (self.ledger[one], self.ledger[other])
        for protocol in PROTOCOLS:
            both = [record.ratios.get(protocol, {}).get(ratio) for record in records]
            if None not in both:
                return both[0], both[1]
        mine, theirs = (
            r.measured.get(ratio) or r.measured.get(self.terms.objective) for r in records
        )
        return mine, theirs

    def ratio_of(self, one: str, other: str) -> Measurement | None:
        """One over the other where a race stands for the objective, as exact as it is known."""
        mine, theirs = self.in_one_kind_of_race(one, other)
        if not is_raced(self.terms.objective) or mine is None or theirs is None:
            return None
        return self.direct(one, other) or quotient(mine, theirs)

    def proven(self, one: str, other: str) -> Proof:
        """Whether one is proven better than the other by the objective."""
        figures = self.in_one_kind_of_race(one, other)
        return proof(self.terms.objective, self.direct(one, other), *figures)

    # -- what a result shows

    @property
    def metric(self) -> str:
        """The quantity that the result is about, and that is set against speed."""
        terms, entries = self.terms, self.ledger.entries.values()
        places = [str(terms.target), *(str(entry.target) for entry in entries)]
        bound = [c for c in terms.constraints if any(c.applies(place) for place in places)]
        records = self.ledger.records.values()
        measured = dict.fromkeys(name for record in records for name in record.measured)
        return leading_metric(bound, terms.objective, terms.metrics, measured)

    def front(self) -> set[str]:
        """Ids on the Pareto front of objective ratio against the leading metric."""
        metric, ratio = self.metric, self.terms.ratio
        points = {}
        for id in self.eligible():
            measured = self.ledger[id].comparable
            if ratio in measured and metric in measured:
                sign = 1 if less_is_better(metric, measured[metric]) else -1
                points[id] = (measured[ratio].value, sign * measured[metric].value)
        on = pareto_front(list(points.values()))
        return {id for id, kept in zip(points, on, strict=True) if kept}

    def stages(self) -> tuple[StageFigure, ...]:
        """What each stage did to speed, wherever both sides were raced."""
        plans = [entry.plan for entry in self.ledger.entries.values()]
        measured = {id: record.comparable for id, record in self.ledger.records.items()}
        return stage_figures(plans, measured, self.terms.ratio)
