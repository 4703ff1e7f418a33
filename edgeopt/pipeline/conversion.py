"""What passes really converted: asked of the runtimes here, of every candidate that changed
number formats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgeopt.decide.entry import Entry
from edgeopt.engine import Engine
from edgeopt.models.conversion import form_of
from edgeopt.pipeline.targets import target_group
from edgeopt.pipeline.work import Work
from edgeopt.planner import tensors_job
from edgeopt.schema.artifact import Description
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.errors import DeviceError
from edgeopt.schema.job import Job, Limits, Outcome
from edgeopt.schema.model_format import model_format
from edgeopt.schema.target import Target, TargetFacts, parse_target

LIMIT_S = 120.0  # it is a session load and one inference
ELSEWHERE = "the target is not this machine's CPU"


def conversions(work: Work, entries: Iterable[Entry]) -> dict[str, Conversion]:
    """What its runtime makes of the file of each entry that changed number formats, by its id.

    A target that is not this machine's CPU gets the file's own facts, and so does a runtime that
    fails; no candidate fails by it.
    """
    asked = {}
    for entry in entries:
        if entry.artifact is not None and form_of(entry.described):
            job = job_for(entry.plan.job, entry.described, entry.target, entry.facts)
            asked[entry.id] = _with_samples(work, job, entry.described)
    outcomes = _ended(work.engine, asked.values(), work.outcomes)
    work.outcomes |= outcomes
    by_job = _conversions(outcomes)
    return {id: by_job[job.id] for id, job in asked.items() if job.id in by_job}


def conversions_of(engine: Engine, opened: Outcome) -> tuple[Conversion, ...]:
    """Of an opened model, by each runtime here that reads it, else by the file."""
    description = Description.model_validate(opened.value["description"])
    if not form_of(description):
        return ()
    try:
        members = target_group(parse_target("local/*")).members
    except DeviceError:
        members = ()
    jobs = [
        job_for(opened.job, description, target, facts)
        for target, facts in members
        if target.reads(description.format)
    ]
    jobs = jobs or [_by_file(opened.job, description, "")]
    by_job = _conversions(_ended(engine, jobs, {opened.job: opened}))
    return tuple(by_job.values())


def job_for(model: str, d: Description, target: Target, facts: TargetFacts) -> Job:
    """The job that asks the target's runtime, or the file where it does not run here."""
    here = target.model_copy(update={"threads": 1, "batch": 1, "settings": ()})
    if str(here) != f"local/{target.runtime}":
        return _by_file(model, d, ELSEWHERE)
    by = f"{target.runtime} {facts.runtime_version} on {facts.isa}"
    return _analysis(model, d, target.runtime, by, "", target.choices)


def _by_file(model: str, d: Description, note: str) -> Job:
    return _analysis(model, d, "", "", note)


def _analysis(
    model: str,
    d: Description,
    runtime: str,
    by: str,
    note: str,
    settings: Mapping[str, str] | None = None,
) -> Job:
    pinned = "&".join(f"{name}={value}" for name, value in (settings or {}).items())
    under = f"?{pinned}" if pinned else ""
    return Job(
        id=f"conversion:{runtime or 'file'}{under}:{model}",
        kind="analysis",
        name="conversion",
        worker=model_format(d.format).worker,
        params={
            "runtime": runtime,
            "by": by,
            "note": note,
            **({"settings": dict(settings)} if settings else {}),
        },
        inputs={"model": model},
        limits=Limits(time_s=LIMIT_S),
    )


def _with_samples(work: Work, job: Job, d: Description) -> Job:
    """The same job with samples to run, where they are ready: the check of a pass ran on them."""
    model = job.inputs["model"]
    samples = tensors_job(work.recipe, work.known, "validation", d, model).id
    ready = samples in work.outcomes and work.outcomes[samples].ok
    inputs = {**job.inputs, "samples": samples} if ready and job.params["runtime"] else job.inputs
    return job.model_copy(update={"inputs": inputs})


def _ended(engine: Engine, jobs: Iterable[Job], known: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """By job id. What a runtime takes the worker down with, the file tells in its place."""
    jobs = list({job.id: job for job in jobs}.values())
    outcomes = engine.run(jobs, known)
    again = {}
    for job in jobs:
        ended = outcomes[job.id]
        if not ended.ok and ended.status != "cancelled" and job.params["runtime"]:
            why = (ended.error or {}).get("what", ended.status)
            note = f"{job.params['runtime']} could not be asked: {why}"
            inputs = {"model": job.inputs["model"]}
            params = {**job.params, "runtime": "", "note": note}
            retold = {"id": f"{job.id} (file)", "params": params, "inputs": inputs}
            again[job.id] = job.model_copy(update={**retold, "limits": Limits()})
    if again:
        more = engine.run(list(again.values()), known)
        outcomes |= {id: more[job.id] for id, job in again.items()}
    return outcomes


def _conversions(outcomes: Mapping[str, Outcome]) -> dict[str, Conversion]:
    """What jobs told, by their ids; nothing of those that failed."""
    records = {id: ended.value.get("conversion") for id, ended in outcomes.items() if ended.ok}
    return {id: Conversion.model_validate(raw) for id, raw in records.items() if raw}
