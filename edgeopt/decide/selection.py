"""Choosing on one target, as a state machine: what was found in, what is to be done next out.

Score all, race the feasible until the best is known, time it afresh, test once. It measures
nothing, waits for nothing and reads no clock: whoever drives it does the steps and tells what came
of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from edgeopt.decide.asking import SOURCE, Asking
from edgeopt.decide.decision import Decision
from edgeopt.decide.elimination import FIRST, KNOWN
from edgeopt.decide.ending import failed, nobody, praised, tested, unscored, untested
from edgeopt.decide.events import Scored, SourceScored
from edgeopt.decide.ledger import Ledger
from edgeopt.decide.proof import is_raced, is_tie
from edgeopt.decide.standings import FINALISTS, Standings, Terms
from edgeopt.decide.steps import Announce, Purpose, Race, Step
from edgeopt.schema.base import counted
from edgeopt.schema.errors import EdgeoptError


class Selection(Asking):
    """The selection on one target: ``start`` and ``tell`` give the next steps, ``Done`` at last.

    The reference contends where one of the recipe's own chains ends in it, at exactly 1.00x: it is
    raced beside the others and never against itself.
    """

    def __init__(self, terms: Terms, ledger: Ledger) -> None:
        super().__init__(ledger)
        self.terms, self.standings = terms, Standings(terms, ledger)
        self._contenders: list[str] = []  # of the phase
        self._asked: dict[str, int] = {}  # processes, by candidate
        self._finalists: list[str] = []
        self._best, self._claim = "", ""  # the choice so far, and what is proven of it

    def start(self) -> list[Step]:
        """The first steps."""
        self._check("new")
        if broken := failed(self.standings):
            return self._done(broken)
        alive = [id for id in self.ledger.entries if not self.standings.failed(id)]
        return [Announce("Scoring on the validation split"), *self._score(alive, "validation")]

    def _after_scores(self) -> list[Step]:
        self.standings.judge(id for id in self._unscored if id != SOURCE)
        if broken := failed(self.standings):
            return self._done(broken)
        if not self.terms.raced:
            return self._choose_by_scores()
        self._contenders = self.standings.standing_as("feasible", "pending")
        return self._count() if self.terms.counted else self._race_short()

    def _choose_by_scores(self) -> list[Step]:
        """Choose without any race: by an objective that scores and sizes show."""
        order = self.standings.order(self.standings.standing_as("feasible"))
        return self._choose(order[0]) if order else self._nobody()

    # -- races

    def _is_needless(self, race: Race) -> bool:
        """Whether the reference's memory is known from that of another."""
        known = "memory.peak" in self.ledger[self.standings.reference].measured
        return race.purpose == "memory" and race.first == self.standings.reference and known

    def _against_reference(
        self, ids: Iterable[str], protocol: str, purpose: Purpose = "reference"
    ) -> list[Race]:
        reference = self.standings.reference
        processes = FIRST if protocol == "short" else 0
        return [Race(id, reference, protocol, purpose, processes) for id in ids if id != reference]

    def _seat(self, state: str, protocol: str) -> list[Step]:
        """Let the reference contend: by its time beside the others, or alone without any."""
        reference = self.standings.reference
        timed = self.ledger[reference].timed_beside
        alone = reference in self._contenders and not timed
        return self._race(state, [Race(reference, reference, protocol, "alone")] if alone else [])

    def _take_seat(self, protocol: str) -> None:
        measured = self.ledger[self.standings.reference].measured
        if self.standings.reference in self._contenders and self.terms.ratio in measured:
            self.ledger.seat_reference(protocol)

    def _weigh(self, state: str, ids: list[str]) -> list[Step]:
        """Peak memory of each; the reference's comes with that of any other, so it is the last."""
        self._contenders = ids
        reference, entries = self.standings.reference, self.ledger.entries
        races = [
            Race(id, reference, "memory", "memory")
            for id in sorted(ids, key=lambda id: id == reference)
            if "memory" in entries[id].facts.quantities
        ]
        return self._race(state, races)

    # -- short races

    def _race_short(self) -> list[Step]:
        if not self._contenders:
            return self._after_short_phase()
        self._contenders += self._beside_stages()
        races = self._against_reference(self._contenders, self.terms.protocol)
        several = counted(len(races), "candidate")
        text = f"Racing {several} against the reference"
        return [Announce(text, len(races)), *self._race("short", races)]

    def _beside_stages(self) -> list[str]:
        """Others that show what stages do to speed, feasible or not: with a stage, or without."""
        eligible, entries = self.standings.eligible(), self.ledger.entries
        if not any(entries[id].plan.stages for id in eligible):
            return []
        return [
            id for id in eligible if not self.standings.failed(id) and id not in self._contenders
        ]

    def _after_short(self) -> list[Step]:
        return self._seat("short, alone", self.terms.protocol)

    def _after_short_alone(self) -> list[Step]:
        self._take_seat(self.terms.protocol)
        self.standings.judge(self._contenders)
        if self.terms.objective.startswith("memory."):
            contenders = self.standings.standing_as("feasible", "pending")
            return self._weigh("short, memory", self.standings.raced(contenders))
        return self._after_short_phase()

    def _after_short_memory(self) -> list[Step]:
        self.standings.judge(self._contenders)
        return self._after_short_phase()

    def _after_short_phase(self) -> list[Step]:
        if not self.terms.quick:
            return self._eliminate()
        pending = self.standings.standing_as("pending")
        return self._weigh("quick, memory", self.standings.raced(pending))

    def _after_quick_memory(self) -> list[Step]:
        self.standings.judge(self._contenders)
        return self._first_of_order()

    def _first_of_order(self) -> list[Step]:
        """Choose by the only races there are."""
        feasible = self.standings.standing_as("feasible")
        order = self.standings.order(self.standings.raced(feasible))
        self._time_reference(order)
        return self._choose(order[0]) if order else self._nobody()

    # -- instructions, on a device without time

    def _count(self) -> list[Step]:
        """Every feasible candidate is counted once, beside the reference."""
        text = f"Counting the instructions of {counted(len(self._contenders), 'candidate')}"
        races = self._against_reference(self._contenders, self.terms.protocol)
        return [Announce(text, len(self._contenders)), *self._race("count", races)]

    def _after_count(self) -> list[Step]:
        return self._seat("count, alone", self.terms.protocol)

    def _after_count_alone(self) -> list[Step]:
        self._take_seat(self.terms.protocol)
        self.standings.judge(self._contenders)
        return self._first_of_order()

    # -- rounds: more processes for those that are not told apart

    def _eliminate(self) -> list[Step]:
        """The next round, or what follows where one is known to be the best, or time ran out."""
        self._pool()
        running = self._running()
        wanted = {} if self._late else self._wanted(running)
        if not wanted:
            return self._weigh_finalists(running)
        several = counted(len(wanted), "candidate")
        text = f"Racing {several} on, until the best is known to {KNOWN:.0%}"
        races = [self._next(id, processes) for id, processes in wanted.items()]
        return [Announce(text, len(races)), *self._race("round", races)]

    def _pool(self) -> None:
        raced = self.standings.raced(self.ledger.entries, self.terms.protocol)
        self.ledger.pool(raced, self.terms.protocol, self.terms.ratio)
        self.standings.judge(raced)

    def _running(self) -> list[str]:
        """Choices that were raced and meet the constraints, or may meet them by their races."""
        sure = self.standings.standing_as("feasible", "pending")
        unsure = [
            id for id in self.standings.standing_as("inconclusive") if self.standings.is_open(id)
        ]
        return [*self.standings.raced(sure), *self.standings.raced(unsure)]

    def _wanted(self, running: Sequence[str]) -> dict[str, int]:
        elimination = self.standings.elimination(running)
        speed = is_raced(self.terms.objective)
        wanted = elimination.wanted() if speed else elimination.wanted_by_bounds()
        return {id: n for id, n in wanted.items() if n > self._asked.get(id, 0)}

    def _next(self, id: str, processes: int) -> Race:
        """The race of a candidate that goes on to so many processes."""
        taken = self.ledger[id].ratios[self.terms.protocol][self.terms.ratio].n
        self._asked[id] = processes
        reference, protocol = self.standings.reference, self.terms.protocol
        return Race(id, reference, protocol, processes=processes, earlier=taken)

    def _after_round(self) -> list[Step]:
        return self._eliminate()

    def _weigh_finalists(self, running: Sequence[str]) -> list[Step]:
        """Peak memory of those that may win."""
        self._finalists = self._ordered(running)
        pending = [id for id in self._finalists if self.standings.stands(id) == "pending"]
        most = max(len(self.standings.elimination(running).alive()), FINALISTS)
        return self._weigh("memory", self._finalists[: most if pending else FINALISTS])

    def _ordered(self, ids: Sequence[str]) -> list[str]:
        """The best first: by elimination where a race stands for the objective."""
        if is_raced(self.terms.objective):
            return self.standings.elimination(ids).order()
        standing = self.standings.standing_as("feasible", "pending")
        return self.standings.order([id for id in ids if id in standing])

    def _after_memory(self) -> list[Step]:
        self.standings.judge(self._contenders)
        feasible = self.standings.standing_as("feasible")
        self._finalists = [id for id in self._finalists if id in feasible]
        if not is_raced(self.terms.objective):
            self._finalists = self.standings.order(self._finalists)
        self._contenders = list(self._finalists)
        return self._final()

    # -- the final

    def _final(self) -> list[Step]:
        """Time the best afresh beside reference and runner-up."""
        if not self._contenders:
            return self._nobody()
        self._best, *others = self._contenders
        text = "Timing the winner afresh beside the reference"
        return [Announce(text), *self._race_afresh("final", self._best, others[:1])]

    def _race_afresh(self, state: str, best: str, others: Sequence[str]) -> list[Step]:
        """Race the best against the reference once more, or beside it the first of others."""
        sides = others if best == self.standings.reference else [best]
        return self._race(state, self._against_reference(sides, "full", "final"))

    def _holds(self, best: str, *others: str) -> bool:
        """Whether the best is still feasible, by its fresh figures."""
        sides = others if best == self.standings.reference else ()
        self.standings.judge([best, *sides])
        return not self.standings.failed(best) and self.standings.stands(best) == "feasible"

    def _after_final(self) -> list[Step]:
        _, *others = self._contenders
        if not self._holds(self._best, *others[:1]):
            self._contenders = others
            return self._final()
        if not others or self.standings.failed(others[0]) or self._is_ahead(others[0]):
            return self._choose_finalist(self._best)
        sides = (others[0], self._best)
        met = self.standings.reference in sides  # the reference had its race with everyone
        return self._race("head-to-head", [] if met else [Race(*sides, "full", "head-to-head")])

    def _is_ahead(self, runner_up: str) -> bool:
        """Whether nothing speaks for the runner-up: neither the rounds nor the fresh figure."""
        if not is_raced(self.terms.objective):
            return True
        elimination = self.standings.elimination(self._finalists)
        fresh, figures = self.ledger[self._best].measured[self.terms.ratio], elimination.ratios
        known = self._best in elimination.known()
        return known and fresh.value <= (1 + KNOWN) * figures[runner_up].value

    def _after_head_to_head(self) -> list[Step]:
        """Of a clear direct race the faster wins, of a tie the smaller file."""
        runner_up = self._contenders[1]
        if not self._overtakes(runner_up, self._best):
            return self._choose_finalist(self._best)
        return self._race_afresh("runner-up", runner_up, [self._best])

    def _overtakes(self, runner_up: str, best: str) -> bool:
        race = self.standings.direct(runner_up, best)
        if race is None:
            return False
        if is_tie(race):
            return self.standings.size(runner_up) < self.standings.size(best)
        return race.interval[1] < 1.0

    def _after_runner_up(self) -> list[Step]:
        runner_up = self._contenders[1]
        held = self._holds(runner_up, self._best)
        return self._choose_finalist(runner_up if held else self._best)

    # -- the end

    def _choose_finalist(self, chosen: str) -> list[Step]:
        self._time_reference([chosen, *self._finalists])
        return self._choose(chosen)

    def _time_reference(self, order: Sequence[str]) -> None:
        """Show the reference's time of the race beside the first of the others."""
        reference = self.standings.reference
        others = (id for id in order if id != reference and self.ledger[id].beside)
        if (beside := next(others, None)) is not None:
            self.ledger.time_reference(beside)
            self.standings.judge([reference])

    def _choose(self, chosen: str) -> list[Step]:
        """The choice, to be scored once on the test split where there is one."""
        self._best, self._claim = chosen, praised(self.standings, chosen)
        if not self.terms.test_samples:
            return self._done(untested(self._claim, chosen))
        text = "Scoring the winner once on the test split"
        return [Announce(text), *self._score([chosen], "test")]

    def _after_test(self) -> list[Step]:
        source, score = self._scores[SOURCE], self._scores[self._best]
        assert isinstance(source, SourceScored)
        if not isinstance(score, Scored):
            error = self.ledger[self._best].error or {}
            return self._done(unscored(self._claim, self._best, error))
        figures = score.measured, source.measured
        return self._done(tested(self.standings, self._claim, self._best, *figures))

    def _after_loss(self, error: EdgeoptError) -> Decision:
        return unscored(self._claim, self._best, error.record())

    def _nobody(self) -> list[Step]:
        return self._done(nobody(self.standings, late=self._late))

    def _after(self, state: str) -> list[Step]:
        return self._AFTER[state](self)

    _AFTER: ClassVar[dict[str, Callable[[Selection], list[Step]]]] = {
        "scoring": _after_scores,
        "testing": _after_test,
        "short": _after_short,
        "short, alone": _after_short_alone,
        "short, memory": _after_short_memory,
        "quick, memory": _after_quick_memory,
        "count": _after_count,
        "count, alone": _after_count_alone,
        "round": _after_round,
        "memory": _after_memory,
        "final": _after_final,
        "head-to-head": _after_head_to_head,
        "runner-up": _after_runner_up,
    }
