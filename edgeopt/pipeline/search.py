"""Fills in what a recipe leaves open: how much of a network to keep, found by measuring.

A pass may leave a fraction open (``Pass.open``). For a speed-up, networks of several widths are
built without any training and raced in the form that is fastest on the target: the widest one that
reaches it is taken, for it keeps the most accuracy. For the smallest network that holds, the
fraction is bisected: each student is trained, scored, and judged by the constraints.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from edgeopt.decide.choose import relative_margin, standing
from edgeopt.decide.events import NotRaced
from edgeopt.decide.steps import Race
from edgeopt.pipeline.entries import entries_of
from edgeopt.pipeline.left_open import (
    Place,
    places,
    rebuilt,
    sooner,
    with_fractions,
    without_stages,
)
from edgeopt.pipeline.target_run import TargetRun, target_run
from edgeopt.pipeline.work import Work
from edgeopt.planner import make_plan, needed
from edgeopt.planner.branches import TRAINED
from edgeopt.planner.jobs import TO_TORCH
from edgeopt.recipe import Recipe
from edgeopt.schema.errors import EdgeoptError, PlanError, UsageError, from_record
from edgeopt.schema.measurement import figure
from edgeopt.schema.plan import Plan
from edgeopt.schema.result import CurvePoint
from edgeopt.schema.target import TargetGroup
from edgeopt.search.bisection import Bisection, Hopeless
from edgeopt.search.table import GRID, Width, offered, widest

SMALLEST, STEPS = 0.05, 5  # of the bisection
RESERVE = 0.4  # of the time limit that is left for the selection itself


class BrokenReferenceError(Exception):
    """Nothing can be raced on a target, for its reference could not be made."""

    def __init__(self, error: EdgeoptError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass
class Search:
    """One search on behalf of a recipe; it keeps what it learns as points of a curve."""

    work: Work
    points: list[CurvePoint] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def closed(self, *, measuring: bool = True, racing: bool = True) -> Recipe:
        """The recipe with numbers for what it leaves open.

        Raises UsageError for two of them, and for one where nothing may be measured, or raced.
        """
        several = list(places(self.work.recipe))
        if not several:
            return self.work.recipe
        needs_race = several[0].open.speedup is not None
        if not measuring or (needs_race and not racing):
            raise UsageError(
                f"'{self.work.recipe.passes[several[0].step].choices[several[0].choice].label}' "
                f"needs {'races' if measuring else 'measuring'}",
                where=self.work.recipe.line("passes", several[0].step),
                hint=f"leave {'--no-race' if measuring else '--no-bench'} out, or name a fraction",
            )
        if len(several) > 1:
            raise UsageError(
                "two passes leave a fraction open, but only one can be searched at a time",
                where=self.work.recipe.line("passes", several[1].step),
            )
        (place,) = several
        fractions = list(dict.fromkeys(self._fractions(place)))
        return with_fractions(self.work.recipe, place, fractions)

    def _fractions(self, place: Place) -> list[float]:
        """What is found on each target, for a speed-up, or on the first that works.

        A target whose reference failed is passed over; raises its error where all did.
        """
        fractions: list[float] = []
        broken: list[EdgeoptError] = []
        for group in self.work.known.groups:
            try:
                if place.open.speedup is None:
                    return [self._smallest(place, group)]
                fractions.append(self._for_speed(place, group))
            except BrokenReferenceError as failed:
                broken.append(failed.error)
                self.notes.append(f"there was no search on {group}: its reference failed")
        if not fractions:
            raise broken[0]
        return fractions

    # -- a speed-up

    def _for_speed(self, place: Place, group: TargetGroup) -> float:
        """The greatest fraction that is measured to reach the speed-up on a target."""
        wanted = place.open.speedup
        assert wanted is not None
        self._phase(f"Racing networks of {len(GRID)} widths for {wanted:g}x on {group}")
        bare = without_stages(self.work.recipe, keep=place.step)
        here = next(places(bare))
        rest, target = self._fastest_form(place, group)
        widths = []
        for fraction in GRID:
            if self._late():
                self.notes.append(f"the time limit ended the search at {fraction:g} of the MACs")
                break
            recipe = with_fractions(bare, here, [fraction], only=True)
            raced = self._raced(recipe, group, rest, target)
            if raced is not None:
                widths.append(Width(fraction, fraction, *raced))
        reaching = widest(widths, 1 / wanted)
        kept = {width.fraction for width in offered(widths)}
        for width in widths:
            self.points.append(
                CurvePoint(target=str(group), fraction=width.fraction, ratio=width.ratio,
                           offered=width.fraction in kept, taken=width is reaching)
            )  # fmt: skip
        if reaching is not None:
            return reaching.fraction
        best = min(widths, key=lambda width: width.ratio, default=None)
        if best is None:
            raise UsageError(f"no width could be raced on {group}", where=str(group))
        fastest = figure(1 / best.ratio, "x")
        self.notes.append(f"no width reaches {wanted:g}x on {group}: the fastest reaches {fastest}")
        return best.fraction

    def _fastest_form(self, place: Place, group: TargetGroup) -> tuple[tuple[str, ...], str]:
        """Of the chains without any stage the one that is fastest on a target, and where; of a
        source that is no torch module, of those that go through torch."""
        is_module = self.work.known.source.format == TRAINED
        recipe = self.work.recipe
        run = self._built(
            without_stages(recipe) if is_module else rebuilt(recipe, place.step), group
        )
        best: tuple[float, tuple[str, ...], str] | None = None
        for entry in run.entries:
            through = is_module or TO_TORCH in entry.plan.rest
            eligible = through and entry.plan.eligible and not run.ledger[entry.id].error
            raced = self._race(run, entry.id) if eligible else None
            if raced is not None and (best is None or raced[0] < best[0]):
                best = raced[0], entry.plan.rest, entry.plan.target
        if best is None:
            raise UsageError(f"no chain could be raced on {group}", where=str(group))
        return best[1:]

    def _raced(
        self, recipe: Recipe, group: TargetGroup, rest: tuple[str, ...], target: str
    ) -> tuple[float, float, float] | None:
        """Ratio and interval of the pruned network in one form; None where it failed."""
        run = self._built(recipe, group, (rest, target))
        for entry in run.entries:
            plan = entry.plan
            if plan.stages and (plan.rest, plan.target) == (rest, target) and not entry.error:
                return self._race(run, entry.id)
        return None

    def _race(self, run: TargetRun, id: str) -> tuple[float, float, float] | None:
        reference, entries = run.ledger.reference, run.ledger.entries
        if id == reference:
            return 1.0, 1.0, 1.0
        race = Race(id, reference, run.terms.protocol)
        event = run.bench.race(race, entries[id], entries[reference])
        run.ledger.fold(event)
        if isinstance(event, NotRaced):
            return None
        ratio = event.ratios[run.terms.ratio]
        return ratio.value, *ratio.interval

    # -- the smallest that holds

    def _smallest(self, place: Place, group: TargetGroup) -> float:
        """The smallest fraction whose trained network keeps the constraints of a target."""
        search, hopeless = Bisection(SMALLEST, steps=STEPS), Hopeless(0.0)
        while (fraction := search.ask()) is not None and not self._late():
            self._phase(f"Trying {fraction:.3g} of the MACs")
            early = None
            if hopeless.gains:
                early = self._margin(sooner(self.work.recipe), place, group, fraction)
                if early is not None and hopeless.is_hopeless(early):
                    self._point(group, fraction, early, holds=False, hopeless=True)
                    search.tell(fraction, False)
                    continue
            margin = self._margin(self.work.recipe, place, group, fraction)
            if margin is not None and not hopeless.gains:
                first = self._margin(sooner(self.work.recipe), place, group, fraction)
                hopeless.learned(first if first is not None else margin, margin)
            elif margin is not None and early is not None:
                hopeless.learned(early, margin)
            holds = margin is not None and margin >= 0
            self._point(group, fraction, margin, holds=holds)
            search.tell(fraction, holds)
        if search.smallest is None:
            self.notes.append(
                f"no fraction of the MACs met the constraints on {group}; "
                f"{search.high:.3g} is tried"
            )
        taken = search.smallest or min(search.outcomes, default=0.5)
        self.points = [p.model_copy(update={"taken": p.fraction == taken}) for p in self.points]
        return taken

    def _margin(
        self, recipe: Recipe, place: Place, group: TargetGroup, fraction: float
    ) -> float | None:
        """How far the best whole chain is within the constraints, relative to them; None where
        none could be scored.
        """
        run = self._built(with_fractions(recipe, place, [fraction], only=True), group)
        standings = run.scored()
        margins = []
        for entry in run.entries:
            verdicts, plan = standings.verdicts.get(entry.id), entry.plan
            if verdicts and plan.stages and not plan.cut and not standings.failed(entry.id):
                worst = min(map(relative_margin, verdicts))
                word = standing([], verdicts)
                margins.append(worst if word != "inconclusive" else min(worst, -1e-6))
        return max(margins, default=None)

    def _point(self, group: TargetGroup, fraction: float, margin: float | None,
               *, holds: bool, hopeless: bool = False) -> None:  # fmt: skip
        self.points.append(
            CurvePoint(target=str(group), fraction=fraction, margin=margin, holds=holds,
                       hopeless=hopeless)
        )  # fmt: skip

    # -- both

    def _built(
        self, recipe: Recipe, group: TargetGroup, only: tuple[tuple[str, ...], str] | None = None
    ) -> TargetRun:
        """The run of a recipe's candidates on a target, built; ``only`` one form of them."""
        plan: Plan = make_plan(recipe, self.work.known)
        if str(group) in plan.failed:
            raise BrokenReferenceError(PlanError(plan.failed[str(group)]))
        wanted = [
            c
            for c in plan.candidates
            if c.group == str(group) and (c.reference or only is None or (c.rest, c.target) == only)
        ]
        jobs = needed(plan.jobs, wanted)
        self.work.run(jobs)
        entries, reference, _ = entries_of(
            plan.model_copy(update={"candidates": tuple(wanted)}), group, self.work.outcomes
        )
        run = target_run(replace(self.work, recipe=recipe), group, entries, reference, quick=True)
        error = run.ledger[reference].error
        if error is not None:
            raise BrokenReferenceError(from_record(error))
        return run

    def _late(self) -> bool:
        if self.work.deadline is None or self.work.recipe.limits.time_s is None:
            return False
        return time.monotonic() > self.work.deadline - RESERVE * self.work.recipe.limits.time_s

    def _phase(self, text: str) -> None:
        self.work.tell("phase", text)
