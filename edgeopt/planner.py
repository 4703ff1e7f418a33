"""Recipe + Descriptions + target facts -> Plan. Pure: nothing runs, no file is opened.

Each target grows its own branches from the source, step by step; branches that come to the
same chain share their jobs. A pass applies where one of its name exists for the branch's
format and is passed over elsewhere. Conversions are inserted only where no step converts. A pass
that changes the network itself (a stage) also leaves its input as a branch, which later stages
pass over: so every stage can be measured with and without.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from pydantic import ValidationError

from edgeopt.data.tensors import bind
from edgeopt.formats import format_named
from edgeopt.recipe import Choice, Recipe
from edgeopt.schema.artifact import Description
from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import PassError, PlanError, UnreachableError
from edgeopt.schema.job import Arrays, Job, Limits
from edgeopt.schema.plan import Candidate, Plan
from edgeopt.schema.target import Target, TargetFacts, TargetGroup
from edgeopt.step import Pass, passes_named, registry

CHECK_SAMPLES = 16
SOURCE_CHECK = "check:source"
HEAVIEST = ("litert", "torch", "onnx")  # workers: one can also do what those after it do


class UserCode(NamedTuple):
    """``FILE.py:NAME`` that a pass names: digests by file, its folder, its form there."""

    digests: Mapping[str, str]
    root: str
    function: str


@dataclass(frozen=True)
class Known:
    """What has been found out before a plan is made.

    ``source`` is the source's description and ``source_job`` the job that opened it;
    ``raw`` the arrays of each split and ``raw_jobs`` the jobs that loaded them; ``version``
    gives the version of an installed library, ``code`` what a pass names of the user's;
    ``host_isa`` is where passes run. Targets that could not be reached are in no group.
    """

    source: Description
    source_job: str
    raw: Mapping[str, Arrays]
    raw_jobs: Mapping[str, str]
    groups: tuple[TargetGroup, ...]
    host_isa: str
    version: Callable[[str], str]
    unreachable: Mapping[str, UnreachableError] = field(default_factory=dict)  # by target
    code: Callable[[str], UserCode] = lambda named: UserCode({}, "", named)


@dataclass(frozen=True)
class Branch:
    """A chain so far: what it makes, the job that makes it and the check that passed it."""

    description: Description
    job: str
    check: str = ""
    labels: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    ended: bool = False  # no stage follows any more: what came so far is measured as it is


@dataclass
class Fate:
    """What happened to one choice over all branches that reached it."""

    applied: int = 0
    formats: set[str] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)


def make_plan(recipe: Recipe, known: Known) -> Plan:
    """The DAG of jobs and the candidates per target.

    Raises PlanError for a pass that no branch can take, for a target that no leaf fits, and
    for more candidates than ``limits.candidates``.
    """
    return _Planner(recipe, known).plan()


class _Planner:
    def __init__(self, recipe: Recipe, known: Known) -> None:
        self.recipe = recipe
        self.known = known
        self.jobs: dict[str, Job] = {}
        self.fates: dict[tuple[int, int], Fate] = {}
        self.notes: list[str] = []

    def plan(self) -> Plan:
        candidates = [c for group in self.known.groups for c in self._for_group(group)]
        self._blame_unused()
        limit = self.recipe.limits.candidates
        count = sum(c.eligible for c in candidates)
        if count > limit:
            raise PlanError(
                f"the recipe makes {count} candidates, more than limits.candidates: {limit}",
                where=self.recipe.line("limits"),
                hint="drop alternatives, or raise the limit",
            )
        return Plan(
            jobs=tuple(self._needed(candidates)),
            candidates=tuple(candidates),
            notes=tuple(dict.fromkeys(self.notes)),
        )

    def _for_group(self, group: TargetGroup) -> list[Candidate]:
        """The candidates of all members; those of the first one that has any hold the reference."""
        found: list[Candidate] = []
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
                if found and candidate.reference:
                    candidate = candidate.model_copy(update={"reference": False})
                    if not candidate.eligible:
                        continue
                found.append(candidate.model_copy(update={"group": str(group)}))
        if not found:
            raise refusals[0][1]
        self.notes += [f"{target} takes no part: {error.what}" for target, error in refusals]
        return found

    def _needed(self, candidates: list[Candidate]) -> list[Job]:
        """The jobs that lead to a candidate, in their order: a branch may end for no target."""
        needed: set[str] = set()
        pending = [id for c in candidates for id in (c.job, c.check) if id]
        while pending:
            job = self.jobs.get(pending.pop())
            if job is not None and job.id not in needed:
                needed.add(job.id)
                pending += [*job.inputs.values(), *job.needs]
        return [job for id, job in self.jobs.items() if id in needed]

    def _for_target(self, target: Target, facts: TargetFacts) -> list[Candidate]:
        root = Branch(self.known.source, self.known.source_job, self._source_check())
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
            raise PlanError(
                f"no chain of the recipe ends in {target.format}, which {target} reads",
                where=self.recipe.line("targets"),
                hint=f"the chains end in: {formats}",
            )
        found = [
            self._candidate(leaf, target, reference=leaf.job == reference.job) for leaf in leaves
        ]
        if reference.job not in {leaf.job for leaf in leaves}:
            found.insert(0, self._candidate(reference, target, reference=True, eligible=False))
        return found

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
            fate = self.fates.setdefault((index, number), Fate())
            kind = passes_named(choice.name).get(parent.description.format)
            if kind is None:
                fate.formats.add(parent.description.format)
                grown.append(parent)
                continue
            if kind.stage:
                grown.append(replace(parent, ended=True))
                if parent.ended:
                    continue
            step = self._made(kind, choice, index, fate)
            for variant in step.variants(parent.description, facts) if step else ():
                branch = self._try(parent, variant, fate)
                if branch:
                    grown.append(branch)
        return grown

    def _try(self, parent: Branch, variant: Pass, fate: Fate) -> Branch | None:
        try:
            variant.requires(parent.description)
        except PassError as error:
            after = " > ".join(parent.labels) or "the source"
            fate.refusals.append(f"{variant.label} after {after}: {error.what}")
            self.notes.append(f"not planned: {fate.refusals[-1]}")
            return None
        fate.applied += 1
        return self._add(parent, variant)

    def _made(self, kind: type[Pass], choice: Choice, index: int, fate: Fate) -> Pass | None:
        """The pass with the recipe's fields; None where they are meant for another format's."""
        try:
            return kind.model_validate_json(json.dumps(choice.fields))
        except ValidationError as error:
            first = error.errors()[0]
            said = f"'{'.'.join(map(str, first['loc']))}': {first['msg']}"
            fate.refusals.append(f"{kind.name} for {kind.takes}: {said}")
            self.notes.append(f"not planned: {fate.refusals[-1]}")
            return None

    def _blame_unused(self) -> None:
        for (index, number), fate in sorted(self.fates.items()):
            if fate.applied:
                continue
            name = self.recipe.passes[index].choices[number].name
            where = self.recipe.line("passes", index)
            if fate.refusals:
                raise PlanError(
                    f"'{name}' can never run: {fate.refusals[0]}",
                    where=where,
                    hint="change the order of the steps, or drop it",
                )
            takes = ", ".join(sorted(passes_named(name)))
            reached = ", ".join(sorted(fate.formats))
            raise PlanError(
                f"'{name}' is passed over on every branch",
                where=where,
                hint=f"it takes {takes}; the formats that reached it: {reached}",
            )

    # -- conversions

    def _recipe_converts(self, fmt: str) -> bool:
        """Whether one of the recipe's own passes takes ``fmt`` and gives another format."""
        kinds = (
            passes_named(choice.name).get(fmt)
            for step in self.recipe.passes
            for choice in step.choices
            if choice.name != "none"
        )
        return any(kind is not None and kind.gives != kind.takes for kind in kinds)

    def _wants_conversion(self, parent: Branch, index: int, target: Target) -> bool:
        fmt = parent.description.format
        if fmt == target.format or self._recipe_converts(fmt):
            return False
        names = [c.name for c in self.recipe.passes[index].choices if c.name != "none"]
        takes = [set(passes_named(name)) for name in names]
        return (
            bool(takes)
            and not any(fmt in t for t in takes)
            and any(target.format in t for t in takes)
        )

    def _converted(self, branch: Branch, target: Target) -> Branch | None:
        """The branch in the target's format; None where the recipe converts by itself."""
        fmt = branch.description.format
        if fmt == target.format:
            return branch
        if branch.labels and self._recipe_converts(fmt):
            return None
        for (_, takes), kind in sorted(registry().items()):
            if takes == fmt and kind.gives == target.format:
                conversion = kind()
                try:
                    conversion.requires(branch.description)
                except PassError:
                    continue
                return self._add(branch, conversion)
        return None

    # -- jobs

    def _add(self, parent: Branch, step: Pass) -> Branch:
        labels = (*parent.labels, step.label)
        id = "/".join(labels)
        predicted = step.effect(parent.description)
        stages = (*parent.stages, step.label) if step.stage else parent.stages
        branch = Branch(
            predicted, id, f"check:{id}", labels, (*parent.steps, id), stages, parent.ended
        )
        if id in self.jobs:
            return branch
        tensors = {
            split: self._tensors(split, parent.description, parent.job, step.name)
            for split in step.splits
        }
        key: dict[str, Any] = {
            "version": step.version,
            "versions": {name: self.known.version(name) for name in step.uses},
            "seed": self.recipe.seed,
        }
        if step.isa_matters:
            key["isa"] = self.known.host_isa
        code = {named: self.known.code(named) for named in step.code}
        if code:
            key["code"] = {named: dict(found.digests) for named, found in code.items()}
        inputs = {"parent": parent.job, **tensors}
        if step.labels:
            inputs |= {f"labels:{split}": self.known.raw_jobs[split] for split in step.splits}
            key["labels"] = {split: _labels_blob(self.known.raw[split]) for split in step.splits}
        if step.teaches:
            inputs["teacher"] = self.known.source_job
        self.jobs[id] = Job(
            id=id,
            kind="pass",
            name=step.name,
            worker=step.worker,
            params={"takes": step.takes, "fields": step.model_dump(mode="json")},
            inputs=inputs,
            needs=(parent.check,) if parent.check else (),
            key=key,
            where={
                "predicted": predicted.to_json(),
                **(
                    {"code": {named: [c.root, c.function] for named, c in code.items()}}
                    if code
                    else {}
                ),
            },
            limits=Limits(time_s=step.limit_s),
        )
        self._add_check(parent, branch, step)
        return branch

    def _source_check(self) -> str:
        """The id of the job that looks whether the source answers soundly."""
        source = self.known.source
        kind = format_named(source.format)
        self.jobs.setdefault(
            SOURCE_CHECK,
            Job(
                id=SOURCE_CHECK,
                kind="check",
                name="source",
                worker=kind.worker,
                params={"n": CHECK_SAMPLES},
                inputs={
                    "model": self.known.source_job,
                    "samples": self._tensors("validation", source, self.known.source_job, "source"),
                },
                key={"versions": {name: self.known.version(name) for name in kind.uses}},
            ),
        )
        return SOURCE_CHECK

    def _add_check(self, parent: Branch, child: Branch, step: Pass) -> None:
        formats = [format_named(d.format) for d in (parent.description, child.description)]
        workers = sorted({f.worker for f in formats}, key=HEAVIEST.index)
        uses = sorted({name for f in formats for name in f.uses})
        self.jobs[child.check] = Job(
            id=child.check,
            kind="check",
            name=step.name,
            worker=workers[0],
            params={
                "promise": step.promised(parent.description).to_json(),
                "n": CHECK_SAMPLES,
            },
            inputs={
                "parent": parent.job,
                "child": child.job,
                "samples": self._tensors("validation", parent.description, parent.job, step.name),
                "child_samples": self._tensors(
                    "validation", child.description, child.job, step.name
                ),
            },
            key={"versions": {name: self.known.version(name) for name in uses}},
        )

    def _tensors(self, split: str, d: Description, model: str, asked_by: str) -> str:
        if split not in self.known.raw:
            raise PlanError(
                f"'{asked_by}' needs a '{split}' split",
                where=self.recipe.line("data"),
                hint="add it under data.splits, e.g. "
                + ("train: train" if split == "train" else f'{split}: "train[:512]"'),
            )
        job = tensors_job(self.recipe, self.known, split, d, model)
        self.jobs.setdefault(job.id, job)
        return job.id


def _labels_blob(raw: Arrays) -> str:
    return raw.labels.blob if raw.labels else ""


def tensors_job(recipe: Recipe, known: Known, split: str, d: Description, model: str) -> Job:
    """The job that makes a split's samples ready for a model that ``d`` describes.

    Where inputs are quantized it waits for ``model``, the job that makes it: only then are
    scales known. Raises DataError where shapes or dtypes do not fit, naming input and array.
    """
    assert recipe.data is not None
    preprocess = recipe.data.preprocess
    binding = bind(
        known.raw[split],
        inputs=recipe.data.inputs,
        preprocess=preprocess,
        layout=recipe.data.layout,
        signature=d.signature,
        codes=d.codes,
    )
    params = {"preprocess": preprocess, "bind": binding}
    named = {**params, "model": model} if d.codes else params
    return Job(
        id=f"tensors:{split}:{digest_of(named)[:8]}",
        kind="data",
        name="tensors",
        params=params,
        inputs={"raw": known.raw_jobs[split], **({"model": model} if d.codes else {})},
    )
