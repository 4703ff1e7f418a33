"""Races of candidates until the best is known: short ones, rounds, settings, memory.

It is the middle of a selection. What it leaves is the finalists, whom the selection times afresh.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence

from edgeopt.decide.asking import Asking
from edgeopt.decide.choose import judge_all
from edgeopt.decide.elimination import FIRST, KNOWN
from edgeopt.decide.events import DeviceFailed, DeviceLost, Event, Figures, WorkerLost
from edgeopt.decide.ledger import Ledger
from edgeopt.decide.proof import is_raced
from edgeopt.decide.settings import Tuning, Tunings, worth_racing
from edgeopt.decide.standings import FINALISTS, Standings, Terms
from edgeopt.decide.steps import Announce, Purpose, Race, Settings, Step
from edgeopt.schema.base import counted
from edgeopt.schema.constraint import Verdict

LOSSES = (DeviceFailed, DeviceLost, WorkerLost)


class Racing(Asking):
    """The races of a target's candidates, up to the finalists, the best first.

    The reference contends where one of the recipe's own chains ends in it, at exactly 1.00x: it is
    raced beside the others and never against itself.
    """

    def __init__(self, terms: Terms, ledger: Ledger) -> None:
        super().__init__(ledger)
        self.terms, self.standings = terms, Standings(terms, ledger)
        self._contenders: list[str] = []  # of the phase
        self._asked: dict[str, int] = {}  # processes, by candidate
        self._tunings: Tunings | None = None  # of finalists, once they race under settings
        self._finalists: list[str] = []

    def tell(self, event: Event, *, late: bool = False) -> list[Step]:
        """What is to be done after an event (``Asking.tell``)."""
        if self.state == "settings" and not isinstance(event, LOSSES):
            self._late = self._late or late
            return self._take_setting(event)
        return super().tell(event, late=late)

    @abstractmethod
    def _final(self) -> list[Step]:
        """What is done with the finalists."""

    @abstractmethod
    def _first_of_order(self) -> list[Step]:
        """Choose by the only races there are."""

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
        text = f"Measuring the peak memory of {counted(len(races), 'candidate')}"
        needed = len(races) - (len(races) > 1 and reference in ids)
        told = [Announce(text, needed)]
        return [*(told if races else []), *self._race(state, races)]

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
            return self._tune(running)
        several = counted(len(wanted), "candidate")
        text = f"Racing {several} on, until the best is known to {KNOWN:.0%}"
        races = [self._next(id, processes) for id, processes in wanted.items()]
        return [Announce(text, len(races)), *self._race("round", races)]

    def _pool(self) -> None:
        raced = self.standings.raced(self.ledger.entries, self.terms.protocol)
        self.ledger.pool(raced, self.terms.protocol, self.terms.ranking)
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

    # -- settings that targets leave open

    def _tune(self, running: Sequence[str]) -> list[Step]:
        """Race finalists under settings of their target, once; or go on."""
        terms, entries = self.terms, self.ledger.entries
        if self._tunings is not None or not terms.settings or not is_raced(terms.objective):
            return self._weigh_finalists(running)
        alive = set(self.standings.elimination(running).alive())
        ids = [
            id for id in self._ordered(running) if id in alive and id != self.standings.reference
        ]
        tries = {id: worth_racing(entries[id])[: terms.settings] for id in ids[:FINALISTS]}
        self._tunings = Tunings([self._tuning(id, each) for id, each in tries.items() if each])
        step = None if self._late else self._tunings.start()
        if step is None:
            return self._weigh_finalists(running)
        self.state, most = "settings", max(map(len, tries.values()))
        others = f"up to {counted(most, 'other setting')} of the runtime"
        return [Announce(f"Racing the best against themselves, under {others}"), step]

    def _tuning(self, id: str, tries: Sequence[Settings]) -> Tuning:
        constraints = self.standings.constraints(id)

        def judge(measured: Figures) -> tuple[Verdict, ...]:
            known = {**self.ledger[id].measured, **measured}
            return judge_all(constraints, known, self.ledger.source)

        return Tuning(id, tries, ratio=self.terms.ratio, constraints=constraints, judge=judge)

    def _take_setting(self, event: Event) -> list[Step]:
        """Go on with settings; what they showed is of no candidate until they are taken."""
        assert self._tunings is not None and not isinstance(event, LOSSES)
        if (step := self._tunings.tell(event, late=self._late)) is not None:
            return [step]
        return self._ship() if self._tunings.is_over else []

    def _ship(self) -> list[Step]:
        """Take the settings that won, and race those candidates afresh under them."""
        assert self._tunings is not None
        taken = [tuned for tuned in self._tunings.tuned if tuned.settings]
        for tuned in self._tunings.tuned:
            self.ledger.note_trials(tuned.id, tuned.tried)
        for tuned in taken:
            self.ledger.ship(tuned.id, tuned.settings, tuned.scored)
            self._asked.pop(tuned.id, None)
        races = self._against_reference([tuned.id for tuned in taken], self.terms.protocol)
        text = f"Racing {counted(len(races), 'candidate')} under the settings that were faster"
        return [*([Announce(text)] if races else []), *self._race("round", races)]

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
