"""Branches: how each target grows its own from the source, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from edgeopt import step_calls
from edgeopt.environments import environments
from edgeopt.planner.jobs import TO_TORCH, Branch, Jobs, needed
from edgeopt.planner.known import Known
from edgeopt.planner.libraries import missing_libraries
from edgeopt.recipe import Choice, Recipe
from edgeopt.schema.errors import PassError, PlanError
from edgeopt.schema.plan import Candidate, Plan
from edgeopt.schema.target import Target, TargetFacts, TargetGroup
from edgeopt.step import Pass, for_engine, passes_named, registry

TRAINED = "torch"  # the format that passes which train take


@dataclass
class Usage:
    """What happened to one choice over all branches that reached it."""

    applied: int = 0
    beside: int = 0  # on branches that stand beside a stage alone
    formats: set[str] = field(default_factory=set)  # that no pass of the name takes
    refusals: list[str] = field(default_factory=list)
    misread: list[str] = field(default_factory=list)  # fields that the pass of a format has not


class NoChainError(PlanError):
    """A target that no chain ends for."""


def make_plan(recipe: Recipe, known: Known) -> Plan:
    """The DAG of jobs and the candidates per target.

    Raises PlanError for a pass that no branch can take and that has no ``none`` beside it, where
    no leaf fits any target, and for more candidates than ``limits.candidates``.
    """
    return _Planner(recipe, known).plan()


class _Planner:
    def __init__(self, recipe: Recipe, known: Known) -> None:
        self.recipe = recipe
        self.known = known
        self.jobs = Jobs(recipe, known)
        self.usages: dict[tuple[int, int], Usage] = {}
        self.notes: list[str] = []
        self.every = False  # whether all runtimes of a device are planned for

    def plan(self) -> Plan:
        candidates: list[Candidate] = []
        failed: dict[str, NoChainError] = {}
        for group in self.known.groups:
            try:
                candidates += self._for_group(group)
            except NoChainError as error:
                failed[str(group)] = error
        if failed and not candidates:
            raise next(iter(failed.values()))
        self._blame_unused()
        limit = self.recipe.limits.candidates
        count = sum(c.eligible for c in candidates)
        if count > limit:
            raise PlanError(
                f"the recipe makes {count} candidates, more than limits.candidates: {limit}",
                where=self.recipe.line("limits"),
                hint="drop alternatives, or raise the limit",
            )
        jobs = tuple(needed(self.jobs.by_id.values(), candidates))
        return Plan(
            jobs=jobs,
            candidates=tuple(candidates),
            notes=tuple(dict.fromkeys([*self.notes, *missing_libraries(jobs)])),
            failed={name: f"{error.what}: {error.hint}" for name, error in failed.items()},
        )

    def _for_group(self, group: TargetGroup) -> list[Candidate]:
        """The candidates of all members; those of the first one that has any hold the reference."""
        self.every = group.asked.every
        planned: list[Candidate] = []
        refusals: list[tuple[Target, PlanError]] = []
        for target, facts in group.members:
            try:
                candidates = self._for_target(target, facts)
            except PlanError as error:
                if not group.asked.every:
                    raise
                refusals.append((target, error))
                continue
            for candidate in candidates:
                if planned and candidate.reference:
                    candidate = candidate.model_copy(update={"reference": False})
                    if not candidate.eligible:
                        continue
                planned.append(candidate.model_copy(update={"group": str(group)}))
        if not planned:
            raise refusals[0][1]
        self.notes += [f"{target} is left out: {error.what}" for target, error in refusals]
        return planned

    def _for_target(self, target: Target, facts: TargetFacts) -> list[Candidate]:
        root = Branch(self.known.source, self.known.source_job, self.jobs.check_source())
        branches = [root]
        for index in range(len(self.recipe.passes)):
            grown = [b for parent in branches for b in self._grow(parent, index, target, facts)]
            grown.sort(key=lambda branch: not branch.ended)  # one that goes on is kept of two
            branches = list({branch.job: branch for branch in grown}.values())
        leaves = [b for b in (self._converted(b, target) for b in branches) if b]
        leaves = list({leaf.job: leaf for leaf in leaves}.values())
        if not branches:
            self._blame_unused()
        reference = self._converted(root, target)
        if not leaves or reference is None:
            formats = ", ".join(sorted({b.description.format for b in branches})) or "nothing"
            raise NoChainError(
                f"no chain of the recipe ends in {_only(target)} {target} runs",
                where=self.recipe.line("targets"),
                hint=f"the chains end in: {formats}",
            )
        candidates = [
            self._candidate(leaf, target, reference=leaf.job == reference.job) for leaf in leaves
        ]
        if reference.job not in {leaf.job for leaf in leaves}:
            candidates.insert(0, self._candidate(reference, target, reference=True, eligible=False))
        return candidates

    def _candidate(
        self, leaf: Branch, target: Target, *, reference: bool, eligible: bool = True
    ) -> Candidate:
        name = "/".join(leaf.labels) or "source"
        return Candidate(
            id=f"{target}#{name}",
            target=str(target),
            chain=leaf.labels,
            steps=leaf.steps,
            stages=leaf.stages,
            cut=leaf.ended,
            job=leaf.job,
            check=leaf.check,
            description=leaf.description,
            reference=reference,
            eligible=eligible,
        )

    # -- growing branches

    def _grow(self, parent: Branch, index: int, target: Target, facts: TargetFacts) -> list[Branch]:
        several = self.recipe.passes[index].choices
        if self._wants_conversion(parent, index, target):
            parent = self._converted(parent, target) or parent
        grown = []
        for number, choice in enumerate(several):
            if choice.name == "none":
                grown.append(parent)
                continue
            usage = self.usages.setdefault((index, number), Usage())
            by_format = _taking(choice)
            base, kind = parent, by_format.get(parent.description.format)
            module = by_format.get(TRAINED)
            if kind is None and module is not None and module.gives == TRAINED:
                base, kind = self._in_torch(parent, module, usage)
            if kind is None:
                usage.formats.add(parent.description.format)
                grown.append(parent)
                continue
            if kind.stage:
                grown.append(replace(parent, ended=True))
                if parent.ended:
                    continue
            step = self._made(kind, choice, index, usage)
            variants = step_calls.variants(step, base.description, facts) if step else ()
            for variant in variants:
                branch = self._try(base, variant, usage, target)
                if branch:
                    grown.append(branch)
        return grown

    def _in_torch(
        self, parent: Branch, kind: type[Pass], usage: Usage
    ) -> tuple[Branch, type[Pass] | None]:
        """The branch rebuilt in torch, for a pass that takes torch modules alone."""
        to_torch = registry().get((TO_TORCH, parent.description.format))
        if to_torch is None:
            return parent, None
        step = step_calls.read(to_torch, {})
        try:
            step_calls.requires(step, parent.description)
        except PassError as error:
            usage.refusals.append(f"{kind.name}: {error.what}")
            self.notes.append(f"not planned: {usage.refusals[-1]}")
            return parent, None
        return self.jobs.add(parent, step), kind

    def _try(self, parent: Branch, variant: Pass, usage: Usage, target: Target) -> Branch | None:
        try:
            step_calls.requires(variant, parent.description)
            floor = self.recipe.floors.get(target.runtime)
            if floor and (why := floor.refuses(step_calls.needs(variant))):
                raise PassError(why)
        except PassError as error:
            after = " > ".join(parent.labels) or "the source"
            usage.refusals.append(f"{step_calls.label(variant)} after {after}: {error.what}")
            self.notes.append(f"not planned: {usage.refusals[-1]}")
            return None
        usage.applied += not parent.ended  # what only stands beside a stage excuses nothing,
        usage.beside += parent.ended  # but as one of several that do more
        return self.jobs.add(parent, variant)

    def _made(self, kind: type[Pass], choice: Choice, index: int, usage: Usage) -> Pass | None:
        """The pass with the recipe's fields; None where they are meant for another format's."""
        try:
            return step_calls.read(kind, choice.fields)
        except ValidationError as error:
            first = error.errors()[0]
            said = f"'{'.'.join(map(str, first['loc']))}': {first['msg']}"
            usage.misread.append(f"{kind.name} for {kind.takes}: {said}")
            self.notes.append(f"not planned: {usage.misread[-1]}")
            return None

    def _blame_unused(self) -> None:
        """Raise PlanError for a choice that no branch took; beside ``none``, which stands for the
        model as it is, a note will do."""
        used = {index for (index, _), usage in self.usages.items() if usage.applied}
        for (index, number), usage in sorted(self.usages.items()):
            if usage.applied or (usage.beside and index in used):
                continue
            several = self.recipe.passes[index].choices
            name = several[number].name
            where = self.recipe.line("passes", index)
            spared = any(choice.name == "none" for choice in several)
            if refusals := [*usage.refusals, *usage.misread]:
                if spared and usage.refusals:
                    continue  # a note tells of each
                raise PlanError(
                    f"'{name}' can never run: {refusals[0]}",
                    where=where,
                    hint="change the order of the steps, or drop it",
                )
            takes = ", ".join(sorted(_taking(several[number])))
            reached = ", ".join(sorted(usage.formats))
            engine = several[number].fields.get("engine")
            said = f"{name}: {{engine: {engine}}}" if engine else name
            skipped = f"'{said}' is skipped on every branch"
            hint = f"it takes {takes}; the formats that reached it: {reached}"
            if not spared:
                raise PlanError(skipped, where=where, hint=hint)
            self.notes.append(f"{skipped}: {hint}")
        if self.usages and not any(usage.applied for usage in self.usages.values()):
            self.notes.append("no pass applies to the source: it is measured as it is")

    # -- conversions

    def _recipe_converts(self, fmt: str) -> bool:
        """Whether one of the recipe's own passes takes ``fmt`` and gives another format."""
        kinds = (
            _taking(choice).get(fmt)
            for step in self.recipe.passes
            for choice in step.choices
            if choice.name != "none"
        )
        return any(kind is not None and kind.gives != kind.takes for kind in kinds)

    def _wants_conversion(self, parent: Branch, index: int, target: Target) -> bool:
        fmt = parent.description.format
        if target.reads(fmt) or self._recipe_converts(fmt):
            return False
        choices = [c for c in self.recipe.passes[index].choices if c.name != "none"]
        takes = [_taking(choice) for choice in choices]
        if not any(fmt in kinds for kinds in takes):
            return any(target.reads(each) for kinds in takes for each in kinds)
        # what a step writes in this format, such as QDQ, a conversion may take out again
        return bool(takes) and all(
            any(target.reads(each) and _reads(kind, choice) for each, kind in kinds.items())
            for kinds, choice in zip(takes, choices, strict=True)
        )

    def _converted(self, branch: Branch, target: Target) -> Branch | None:
        """The branch in the target's format; None where the recipe converts by itself."""
        fmt = branch.description.format
        if target.reads(fmt):
            return branch
        if branch.labels and self._recipe_converts(fmt):
            return None
        for (_, takes), kind in sorted(registry().items()):
            if takes == fmt and target.reads(kind.gives) and self._may_insert(kind, fmt):
                try:
                    conversion = step_calls.read(kind, {})
                    step_calls.requires(conversion, branch.description)
                except (PassError, ValidationError):  # also one with fields that nobody gave
                    continue
                return self.jobs.add(branch, conversion)
        return None

    def _may_insert(self, kind: type[Pass], fmt: str) -> bool:
        """Whether a conversion may be inserted that nobody named. What rebuilds in torch only for
        passes that train; one that wants a tool environment only for a target of its own, not for
        one of all runtimes found here."""
        if kind.name == TO_TORCH:
            return False
        tool = kind.worker in environments()
        return not (tool and self.every) or self._recipe_converts(fmt)


def _taking(choice: Choice) -> dict[str, type[Pass]]:
    """The passes of a choice by the format they take, those that an engine is for alone.

    ``engine`` says which of the passes of one name is meant: it is a field of some.
    """
    return for_engine(passes_named(choice.name), choice.fields.get("engine"))


def _reads(kind: type[Pass], choice: Choice) -> bool:
    """Whether a pass has the fields of a choice."""
    try:
        step_calls.read(kind, choice.fields)
    except ValidationError:
        return False
    return True


def _only(target: Target) -> str:
    one, *others = target.formats
    return f"{one}, the only format" if not others else f"{' or '.join(target.formats)}, which"
