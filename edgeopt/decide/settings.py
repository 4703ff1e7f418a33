"""Settings of a target that a recipe leaves open: which are worth a race, and which are taken.

A finalist under settings races itself without them. Where that is faster beyond its interval, its
answers under the settings are scored, and judged as any candidate's: only what holds is taken. Of
several, that of the lowest ratio. ``Tuning`` is the state machine of one finalist: it measures
nothing, and whoever drives it does the steps and tells what came of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgeopt.decide.choose import standing, worst
from edgeopt.decide.decision import error_in_words
from edgeopt.decide.entry import Entry
from edgeopt.decide.events import NotRaced, NotScored, Raced, Scored, ScoreEvent, SourceScored
from edgeopt.decide.steps import Race, Score, Settings
from edgeopt.schema.constraint import Constraint, Verdict
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import SettingsTrial
from edgeopt.schema.shown import whole

MOST = 3  # settings that a finalist races under
PROCESSES = 5  # of a short race under settings
WORTH = 0.98  # of the time without: settings whose interval lies above are not taken
SPLIT = "validation"

Judge = Callable[[Mapping[str, Measurement]], tuple[Verdict, ...]]


def worth_racing(entry: Entry) -> tuple[Settings, ...]:
    """The settings worth a race for a candidate: three at most, none that its target pins.

    Each by itself, as its runtime declares for the machine and the file; then the first values of
    all at once, which are raced only if each held by itself.
    """
    facts, accelerator = entry.facts, entry.target.accelerator
    fitting = {
        name: [
            worth.value
            for worth in setting.worth
            if worth.fits(facts.isa, facts.features, entry.described.facts)
            and setting.only_on.get(worth.value, accelerator) == accelerator
        ]
        for name, setting in entry.target.open_settings.items()
    }
    single: list[Settings] = [((n, value),) for n, values in fitting.items() for value in values]
    together = tuple((name, values[0]) for name, values in fitting.items() if values)
    return tuple([*single, *([together] if len(together) > 1 else [])][:MOST])


@dataclass(frozen=True)
class Tuned:
    """What came of a finalist's settings: those that are taken, and all that were tried.

    ``scored`` is what it answered under those that are taken: ``Ledger.ship`` takes both.
    """

    id: str
    settings: Settings
    scored: Scored | None
    tried: tuple[SettingsTrial, ...]


@dataclass(frozen=True)
class _Held:
    """Settings that were faster, and whose answers hold."""

    settings: Settings
    ratio: Measurement
    verdicts: tuple[Verdict, ...]
    scored: Scored


class Tuning:
    """The settings of one finalist: ``start`` and ``tell`` give the next step, or what came of it.

    ``ratio`` is the quantity that ranks (``ratio.latency.p50``), less is better; ``judge`` gives
    the verdicts on figures of its answers, against the ``constraints``.
    """

    def __init__(
        self,
        id: str,
        tries: Sequence[Settings],
        *,
        ratio: str,
        constraints: Sequence[Constraint],
        judge: Judge,
        protocol: str = "short",
    ) -> None:
        self.id, self.ratio, self.constraints, self.judge = id, ratio, constraints, judge
        self.protocol = protocol
        self._left = list(tries)
        self._asked: Race | Score | None = None
        self._faster: Measurement | None = None  # of the settings that are scored now
        self._held: list[_Held] = []
        self._refused: list[SettingsTrial] = []

    def start(self) -> Race | Score | Tuned:
        """The first step, or what came of it where nothing is worth a race."""
        return self._next()

    def tell(
        self, event: Raced | NotRaced | ScoreEvent, *, late: bool = False
    ) -> Race | Score | Tuned | None:
        """What is to be done after an event; None: another of the same step is to come.

        ``late``: the time limit is reached, and no further settings are raced. Raises ValueError
        for an event that no step asked for.
        """
        if late:
            self._left = []
        match event, self._asked:
            case ((Raced(race=race) | NotRaced(race=race)), Race()) if race == self._asked:
                return self._after_race(event)
            case SourceScored(split=split), Score() if split == SPLIT:
                return None
            case ((Scored() | NotScored()), Score(settings=asked)) if (
                event.id,
                event.split,
                event.settings,
            ) == (self.id, SPLIT, asked):
                return self._after_score(event)
        raise ValueError(f"nothing was asked for that this tells: {event}")

    def _after_race(self, event: Raced | NotRaced) -> Race | Score | Tuned:
        """Score what is faster beyond its interval; leave the rest."""
        settings = event.race.settings
        if isinstance(event, NotRaced):
            told = (
                "it failed: " + error_in_words(event.error) if event.error else "no time was left"
            )
            return self._refuse(settings, told)
        ratio = event.ratios.get(self.ratio)
        if ratio is None:
            return self._refuse(settings, f"its race showed no {self.ratio}")
        if ratio.interval[1] >= WORTH:
            slower = ratio.interval[0] > 1.0
            word = "slower" if slower else "not proven faster"
            return self._refuse(settings, f"{word}: {whole(ratio)}", ratio)
        self._faster = ratio
        self._asked = Score((self.id,), SPLIT, settings)
        return self._asked

    def _after_score(self, event: Scored | NotScored) -> Race | Score | Tuned:
        """Keep what holds the constraints."""
        ratio = self._faster
        assert ratio is not None, "only what was faster is scored"
        if isinstance(event, NotScored):
            why = error_in_words(event.error) if event.error else "it gave no answers"
            return self._refuse(event.settings, f"faster, but it failed: {why}", ratio)
        verdicts = self.judge(event.measured)
        if standing(self.constraints, verdicts) in ("infeasible", "inconclusive"):
            missed = worst(verdicts)
            why = f"{missed.constraint} ({missed.verdict})" if missed else "a constraint"
            return self._refuse(event.settings, f"faster, but it misses {why}", ratio, verdicts)
        self._held.append(_Held(event.settings, ratio, verdicts, event))
        return self._next()

    def _refuse(
        self,
        settings: Settings,
        reason: str,
        ratio: Measurement | None = None,
        verdicts: tuple[Verdict, ...] = (),
    ) -> Race | Score | Tuned:
        self._refused.append(
            SettingsTrial(settings=dict(settings), ratio=ratio, verdicts=verdicts, reason=reason)
        )
        return self._next()

    def _next(self) -> Race | Score | Tuned:
        while self._left:
            settings = self._left.pop(0)
            if len(settings) > 1 and not self._are_held(settings):
                continue
            self._asked = Race(
                self.id, self.id, self.protocol, "settings",
                processes=PROCESSES if self.protocol == "short" else 0, settings=settings,
            )  # fmt: skip
            return self._asked
        self._asked = None
        return self._tuned()

    def _are_held(self, settings: Settings) -> bool:
        """Whether each of several settings held by itself."""
        alone = {each.settings[0] for each in self._held if len(each.settings) == 1}
        return set(settings) <= alone

    def _tuned(self) -> Tuned:
        """The lowest ratio of what held is taken."""
        best = min(self._held, key=lambda held: held.ratio.value, default=None)
        held = [
            SettingsTrial(
                settings=dict(each.settings),
                ratio=each.ratio,
                verdicts=each.verdicts,
                taken=each is best,
                reason=f"{whole(each.ratio)} of the time without, and its answers hold"
                + ("" if each is best else "; others were faster"),
            )
            for each in self._held
        ]
        settings, scored = (best.settings, best.scored) if best else ((), None)
        return Tuned(self.id, settings, scored, (*held, *self._refused))


class Tunings:
    """The settings of several finalists, one finalist after the other."""

    def __init__(self, each: Sequence[Tuning]) -> None:
        self._left = list(each)
        self._now: Tuning | None = None
        self.tuned: list[Tuned] = []

    def start(self) -> Race | Score | None:
        """The first step; None where there is none."""
        while self._left:
            self._now = self._left.pop(0)
            if (step := self._taken(self._now.start())) is not None:
                return step
        self._now = None
        return None

    def tell(
        self, event: Raced | NotRaced | ScoreEvent, *, late: bool = False
    ) -> Race | Score | None:
        """What is to be done after an event; None where nothing is, or another is to come first.

        It is over when ``is_over``. Raises ValueError for an event that no step asked for.
        """
        if self._now is None:
            raise ValueError("no settings are raced")
        if late:
            self._left = []
        told = self._now.tell(event, late=late)
        if told is None:
            return None
        return self._taken(told) or self.start()

    @property
    def is_over(self) -> bool:
        """Whether all has been told."""
        return self._now is None

    def _taken(self, step: Race | Score | Tuned) -> Race | Score | None:
        if isinstance(step, Tuned):
            self.tuned.append(step)
            return None
        return step
