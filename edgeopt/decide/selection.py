"""Choosing on one target, as a state machine: what was found in, what is to be done next out.

Score all, race the feasible until the best is known, time it afresh, test once. It measures
nothing, waits for nothing and reads no clock: whoever drives it does the steps and tells what came
of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from edgeopt.decide.asking import SOURCE
from edgeopt.decide.decision import Decision
from edgeopt.decide.elimination import KNOWN
from edgeopt.decide.ending import failed, nobody, praised, tested, unscored, untested
from edgeopt.decide.events import Scored, SourceScored
from edgeopt.decide.ledger import Ledger
from edgeopt.decide.proof import is_raced, is_tie
from edgeopt.decide.racing import Racing
from edgeopt.decide.standings import Terms
from edgeopt.decide.steps import Announce, Race, Step
from edgeopt.schema.errors import EdgeoptError


class Selection(Racing):
    """The selection on one target: ``start`` and ``tell`` give the next steps, ``Done`` at last."""

    def __init__(self, terms: Terms, ledger: Ledger) -> None:
        super().__init__(terms, ledger)
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

    def _first_of_order(self) -> list[Step]:
        """Choose by the only races there are."""
        feasible = self.standings.standing_as("feasible")
        order = self.standings.order(self.standings.raced(feasible))
        self._time_reference(order)
        return self._choose(order[0]) if order else self._nobody()

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
        """Whether nothing speaks for the runner-up: neither the rounds, nor the fresh figure, nor
        its place among ties, where it may be as fast."""
        if not is_raced(self.terms.objective):
            return True
        elimination = self.standings.elimination(self._finalists)
        fresh, figures = self.ledger[self._best].measured[self.terms.ranking], elimination.ratios
        first = self.standings.place(runner_up) < self.standings.place(self._best)
        if first and runner_up in elimination.alive():
            return False
        known = self._best in elimination.known()
        return known and fresh.value <= (1 + KNOWN) * figures[runner_up].value

    def _after_head_to_head(self) -> list[Step]:
        """Of a clear direct race the faster wins, of a tie the smaller or better file.

        No tie is one that leaves open whether that file takes more than 2% longer.
        """
        runner_up = self._contenders[1]
        if not self._overtakes(runner_up, self._best):
            return self._choose_finalist(self._best)
        return self._race_afresh("runner-up", runner_up, [self._best])

    def _overtakes(self, runner_up: str, best: str) -> bool:
        race = self.standings.direct(runner_up, best)
        if race is None:
            return False
        high = race.interval[1]
        if is_tie(race) and high <= 1 + KNOWN:
            return self.standings.place(runner_up) < self.standings.place(best)
        return high < 1.0

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
        "short": Racing._after_short,
        "short, alone": Racing._after_short_alone,
        "short, memory": Racing._after_short_memory,
        "quick, memory": Racing._after_quick_memory,
        "count": Racing._after_count,
        "count, alone": Racing._after_count_alone,
        "round": Racing._after_round,
        "memory": Racing._after_memory,
        "final": _after_final,
        "head-to-head": _after_head_to_head,
        "runner-up": _after_runner_up,
    }
