"""The jobs of a plan: one for each pass and its check, and for the samples that these are fed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edgeopt import step_calls
from edgeopt.data.tensors import axes_of, bind, layouts_read
from edgeopt.environments import environments
from edgeopt.planner.known import Known, UserCode
from edgeopt.recipe import Recipe
from edgeopt.schema.artifact import Description
from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import PlanError
from edgeopt.schema.job import Job, Limits
from edgeopt.schema.model_format import model_format, worker_for
from edgeopt.schema.plan import Candidate
from edgeopt.step import Pass, registry

CHECK_SAMPLES = 16
SOURCE_CHECK = "check:source"
TO_TORCH = "to-torch"  # the pass that rebuilds a source for those that train


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


class Jobs:
    """The jobs made so far, by id, in an order in which they can run."""

    def __init__(self, recipe: Recipe, known: Known) -> None:
        self.recipe, self.known = recipe, known
        self.by_id: dict[str, Job] = {}

    def add(self, parent: Branch, step: Pass) -> Branch:
        """The branch after a pass; its jobs are made unless they are there."""
        label = step_calls.label(step)
        labels = (*parent.labels, label)
        id = "/".join(labels)
        predicted = step_calls.effect(step, parent.description)
        stages = (*parent.stages, label) if step.stage else parent.stages
        branch = Branch(
            predicted, id, f"check:{id}", labels, (*parent.steps, id), stages, parent.ended
        )
        if id in self.by_id:
            return branch
        code = {named: self.known.code(named) for named in step_calls.code(step)}
        placed = {named: [user_code.root, user_code.function] for named, user_code in code.items()}
        self.by_id[id] = Job(
            id=id,
            kind="pass",
            name=step.name,
            worker=step.worker,
            params={
                "takes": step.takes,
                "fields": step.model_dump(mode="json"),
                **({"labels": self._labels()} if step.labels else {}),
            },
            inputs=self._inputs(parent, step),
            needs=(parent.check,) if parent.check else (),
            key=self._key(step, code),
            where={"predicted": predicted.to_json(), **({"code": placed} if placed else {})},
            limits=Limits(time_s=step.limit_s),
        )
        self._add_check(parent, branch, step)
        return branch

    def _inputs(self, parent: Branch, step: Pass) -> dict[str, str]:
        """Jobs by role: the parent, the splits that the pass sees, labels, the source."""
        inputs = {"parent": parent.job}
        seen = self._seen(step)
        for split in seen:
            inputs[split] = self._tensors(split, parent.description, parent.job, step.name)
        if step.labels:
            inputs |= {f"labels:{split}": self.known.raw_jobs[split] for split in seen}
        if step.teaches:
            inputs["teacher"] = self._teacher()
        return inputs

    def _seen(self, step: Pass) -> list[str]:
        """The splits that it sees here: all that it needs, and the optional ones that there are."""
        there = self.known.raw
        return [s for s in step_calls.sees(step) if s in there or s not in step.optional]

    def _teacher(self) -> str:
        """The source, or what it was rebuilt as where it is no torch module."""
        source = self.known.source
        kind = registry().get((TO_TORCH, source.format))
        if kind is None:
            return self.known.source_job
        root = Branch(source, self.known.source_job, self.check_source())
        return self.add(root, step_calls.read(kind, {})).job

    def _labels(self) -> dict[str, str]:
        """Output -> array of labels; what fits no output is for the first, or the user's step."""
        data = self.recipe.data
        if self.known.labelled or data is None or not isinstance(data.label, str):
            return dict(self.known.labelled)
        return {"": data.label}

    def _key(self, step: Pass, code: Mapping[str, UserCode]) -> dict[str, Any]:
        """What a pass depends on besides its fields and inputs."""
        key: dict[str, Any] = {
            "version": step.version,
            "versions": {name: self.known.version(name) for name in step_calls.uses(step)},
            "seed": self.recipe.seed,
        }
        if env := environments().get(step.worker):
            key["environment"] = env.digest
        if step.isa_matters:
            key["isa"] = self.known.host_isa
        if code:
            key["code"] = {named: dict(user_code.digests) for named, user_code in code.items()}
        if step.labels:
            key["labels"] = {
                split: {name: ref.blob for name, ref in self.known.raw[split].labels.items()}
                for split in self._seen(step)
            }
        return key

    def check_source(self) -> str:
        """The id of the job that looks whether the source answers soundly."""
        source = self.known.source
        kind = model_format(source.format)
        self.by_id.setdefault(
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
                key={
                    "versions": {name: self.known.version(name) for name in kind.uses},
                    "isa": self.known.host_isa,
                },
            ),
        )
        return SOURCE_CHECK

    def _add_check(self, parent: Branch, child: Branch, step: Pass) -> None:
        formats = [parent.description.format, child.description.format]
        uses = sorted({name for each in formats for name in model_format(each).uses})
        self.by_id[child.check] = Job(
            id=child.check,
            kind="check",
            name=step.name,
            worker=worker_for(formats),
            params={
                "promise": step_calls.promised(step, parent.description).to_json(),
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
        self.by_id.setdefault(job.id, job)
        return job.id


def needed(jobs: Iterable[Job], candidates: Iterable[Candidate]) -> list[Job]:
    """Those of the jobs that lead to some candidates, checks too, in their order."""
    by_id = {job.id: job for job in jobs}
    pending = [id for c in candidates for id in (c.job, c.check)]
    reached: set[str] = set()
    while pending:
        job = by_id.get(pending.pop())
        if job is not None and job.id not in reached:
            reached.add(job.id)
            pending += [*job.inputs.values(), *job.needs]
    return [job for id, job in by_id.items() if id in reached]


def tensors_job(recipe: Recipe, known: Known, split: str, d: Description, model: str) -> Job:
    """The job that makes a split's samples ready for a model that ``d`` describes.

    Arrays are read as the source reads them. Where inputs are quantized it waits for
    ``model``, the job that makes it: only then are scales known. Raises DataError where
    shapes or dtypes do not fit, naming input and array.
    """
    assert recipe.data is not None
    raw, inputs, preprocess = known.raw[split], recipe.data.inputs, recipe.data.preprocess
    binding = bind(
        raw,
        inputs=inputs,
        preprocess=preprocess,
        layout=layouts_read(raw, known.source.signature, inputs, recipe.data.layout),
        signature=d.signature,
        codes=d.codes,
    )
    params = {"preprocess": preprocess, "bind": binding, **axes_of(d.signature)}
    named = {**params, "model": model} if d.codes else params
    return Job(
        id=f"tensors:{split}:{digest_of(named)[:8]}",
        kind="data",
        name="tensors",
        params=params,
        inputs={"raw": known.raw_jobs[split], **({"model": model} if d.codes else {})},
    )
