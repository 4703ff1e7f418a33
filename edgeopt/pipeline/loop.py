"""The one loop: plan, run, score, race, decide, write. Only this module knows all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from edgeopt.bench.jobs import run_bench
from edgeopt.decide.decision import exit_code_of
from edgeopt.decide.events import Converted
from edgeopt.decide.stages import dropped
from edgeopt.engine import Engine
from edgeopt.pipeline.consent import check_consent, described, missing, needed_environments
from edgeopt.pipeline.conversion import conversions
from edgeopt.pipeline.counted import is_timed
from edgeopt.pipeline.early import EarlyScores
from edgeopt.pipeline.entries import entries_of
from edgeopt.pipeline.floors import hold_to_floors
from edgeopt.pipeline.missing_quantities import check_unraced, unraced_notes
from edgeopt.pipeline.prepare import installed_version, prepare
from edgeopt.pipeline.results import (
    data_facts,
    fell_back,
    job_lists,
    quick_note,
    slower,
    source_facts,
    target_result,
    told_by_passes,
)
from edgeopt.pipeline.saturation import Checked, check_saturation
from edgeopt.pipeline.search import Search
from edgeopt.pipeline.selections import decide_all
from edgeopt.pipeline.target_run import Decided, TargetRun, target_run
from edgeopt.pipeline.targets import in_order
from edgeopt.pipeline.work import Work
from edgeopt.pipeline.write import check_writable, write_result
from edgeopt.planner import SOURCE_CHECK
from edgeopt.planner import make_plan as plan_jobs
from edgeopt.recipe import Recipe
from edgeopt.schema.base import counted
from edgeopt.schema.errors import from_record
from edgeopt.schema.event import Event
from edgeopt.schema.job import Outcome
from edgeopt.schema.model_format import recorded
from edgeopt.schema.plan import Plan
from edgeopt.schema.result import Result
from edgeopt.store import Store

OnEvent = Callable[[Event], None]


def run_recipe(
    recipe: Recipe,
    *,
    store: Store,
    out: Path | None,
    on_event: OnEvent = lambda _event: None,
    bench: bool = True,
    quick: bool = False,
    race: bool = True,
    make_environments: bool = False,
) -> Result:
    """Run a recipe: build every candidate, measure, choose, and write ``out``.

    Without ``bench`` the artifacts are built and checked, and nothing is scored or timed.
    ``quick`` makes every race a short one: wider intervals, for trying a recipe out. Without
    ``race`` all is scored and nothing is timed: by size where the objective needs a race.
    ``make_environments``: missing tool environments are made; without it they are ConsentError.
    Raises EdgeoptError for what stops the whole run; a candidate that fails only loses, and a
    target that is out of reach is left out while another is not. A target whose reference or all
    of whose candidates failed has the verdict ``failed``.
    """
    if not race:
        check_unraced(recipe, bench=bench, quick=quick)
    if out is not None:
        check_writable(out)
    started, clock = datetime.now(UTC), time.monotonic()
    limit, memory = recipe.limits.time_s, recipe.limits.memory_bytes
    deadline = None if limit is None else clock + limit
    with Engine(
        store,
        on_event=on_event,
        bench=run_bench,
        deadline=deadline,
        memory=memory,
        make_environments=make_environments,
    ) as engine:
        on_event(Event(what="phase", text="Reading the model and the data"))
        known, outcomes = prepare(recipe, engine)
        asked, work = recipe, Work(recipe, known, engine, store, outcomes, on_event, deadline)
        search = Search(work)
        recipe = search.closed(measuring=bench, racing=race)
        work = replace(work, recipe=recipe)
        plan = _announced_plan(work)
        floored = recipe if bench else None
        if missing(plan.jobs, floored) and not make_environments:
            kept = _kept(plan, outcomes, store)
            check_consent((job for job in plan.jobs if job.id not in kept), floored)
        known = known.planned(plan.failed)
        work = replace(work, known=known)
        early = EarlyScores(work, plan) if bench else None
        outcomes.update(engine.run(plan.jobs, outcomes, further=early))
        of_source = _notes_of_source(outcomes, on_event)
        checked = check_saturation(work, plan) if bench and not quick else Checked(plan)
        of_passes = told_by_passes(checked.plan, outcomes)
        for note in of_passes:
            work.tell("note", note)
        in_short = quick and bench and any(map(is_timed, known.groups))
        notes = [quick_note()] if in_short else []
        notes += [] if race else unraced_notes(recipe)
        notes += [*known.notes, *of_source, *search.notes, *checked.plan.notes, *of_passes]
        notes += checked.notes
        runs, merged = target_runs(work, checked, quick=quick, raced=race)
        if bench:
            hold_to_floors(work, runs)
        another = partial(Engine, store, on_event=on_event, bench=run_bench, deadline=deadline)
        decided = decide_all(runs, engine, another) if bench else [run.built() for run in runs]
        _check_decided(decided)
        notes += [*merged, *_notes_of_targets(runs, decided)]
        results = [
            target_result(run.bench, each, checked.plan, outcomes)
            for run, each in zip(runs, decided, strict=True)
        ]
    results = in_order(recipe, results, known)
    notes += [note for each in results for note in (slower(each), fell_back(each)) if note]
    result = Result(
        edgeopt=installed_version("edgeopt"),
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock, 3),
        quick=in_short,
        unraced=not race,
        recipe=asked.spelled(),
        recipe_path=_shown_path(recipe.path) if recipe.path else "",
        source=source_facts(outcomes, runs[0].bench),
        data=data_facts(known),
        classes=dict(known.classes),
        versions={name: v for name in recorded() if (v := installed_version(name))}
        | {env.name: env.pins[env.name] for env in needed_environments(checked.plan.jobs)},
        jobs=job_lists(outcomes.values()),
        targets=tuple(results),
        search=tuple(search.points),
        notes=tuple(dict.fromkeys(notes)),
        exit_code=exit_code_of(results),
    )
    return write_result(result, store, out) if out is not None else result


def _shown_path(path: Path) -> str:
    """A path below the working folder as it is typed there; of others the name alone."""
    whole, here = path.resolve(), Path.cwd().resolve()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else path.name


def _announced_plan(work: Work) -> Plan:
    """The plan of a recipe; listeners are told of it, and of what is out of reach."""
    plan = plan_jobs(work.recipe, work.known)
    lost = [str(error) for error in work.known.unreachable.values()]
    lost += [f"{target}: {what}" for target, what in plan.failed.items()]
    for note in [*work.known.notes, *plan.notes, *lost]:
        work.tell("note", note)
    count = sum(c.eligible for c in plan.candidates)
    work.tell("phase", f"Building {counted(count, 'candidate')}")
    return plan


def target_runs(
    work: Work, checked: Checked, *, quick: bool, raced: bool
) -> tuple[list[TargetRun], list[str]]:
    """A run for each target, with what is known of its entries; notes on files that are equal."""
    runs: list[TargetRun] = []
    notes: list[str] = []
    for group in work.known.groups:
        entries, reference, merged = entries_of(checked.plan, group, work.outcomes)
        notes += merged
        run = target_run(work, group, entries, reference, quick=quick, raced=raced)
        for comparison in checked.of(entries):
            run.ledger.fold(comparison)
        runs.append(run)
    converted = conversions(work, [entry for run in runs for entry in run.entries])
    for run in runs:
        for id in run.ledger.entries:
            if id in converted:
                run.ledger.fold(Converted(id, converted[id]))
    return runs, notes


def _check_decided(decided: Sequence[Decided]) -> None:
    """Raise the error of the first device where all were lost."""
    lost = [decision.error for decision, _ in decided if decision.error is not None]
    if lost and len(lost) == len(decided):
        raise lost[0]


def _notes_of_targets(runs: Sequence[TargetRun], decided: Sequence[Decided]) -> list[str]:
    """What benches noted, and stages that are not in a choice for the speed that they cost."""
    notes = [note for run in runs for note in run.bench.notes]
    for run, (decision, standings) in zip(runs, decided, strict=True):
        if decision.chosen is not None:
            plans = {entry.id: entry.plan for entry in run.entries}
            notes += dropped(standings.stages(), plans, decision.chosen)
    return notes


def _notes_of_source(outcomes: Mapping[str, Outcome], on_event: OnEvent) -> tuple[str, ...]:
    """What the source's check tells. Raises the error that it ended in."""
    checked = outcomes.get(SOURCE_CHECK)
    if checked is None:
        return ()
    if checked.error:
        raise from_record(checked.error)
    notes = tuple(map(str, checked.value.get("notes", ())))
    for note in notes:
        on_event(Event(what="note", text=note))
    return notes


def _kept(plan: Plan, outcomes: Mapping[str, Outcome], store: Store) -> dict[str, Outcome]:
    """The outcomes so far, and those of planned jobs that the store has already."""
    ended = dict(outcomes)
    for job in plan.jobs:
        digests = {role: ended[id].digest for role, id in job.inputs.items() if id in ended}
        whole = job.cache and len(digests) == len(job.inputs)
        if whole and (kept := store.outcome(job.cache_key(digests))):
            ended[job.id] = kept
    return ended


def make_plan(
    recipe: Recipe, *, store: Store, on_event: OnEvent = lambda _event: None
) -> tuple[Plan, dict[str, Any]]:
    """The plan of a recipe and an estimate: jobs, those cached already, rough seconds.

    Reads model and data (cached), runs no pass. Raises as ``run_recipe`` does.
    """
    with Engine(store, on_event=on_event, bench=run_bench) as engine:
        known, outcomes = prepare(recipe, engine)
    plan = plan_jobs(recipe, known)
    lost = [f"out of reach: {error}" for error in known.unreachable.values()]
    lost += [f"failed: {target}: {what}" for target, what in plan.failed.items()]
    plan = plan.model_copy(update={"notes": (*known.notes, *plan.notes, *lost)})
    ended = _kept(plan, outcomes, store)
    pending = [job for job in plan.jobs if job.id not in ended]
    seconds = sum(TYPICAL_SECONDS.get(job.kind, 5.0) for job in pending)
    absent = [
        f"a tool environment is missing: {described(env)}" for env in missing(pending, recipe)
    ]
    plan = plan.model_copy(update={"notes": (*plan.notes, *absent)})
    training = sorted({j.name for j in plan.jobs if "train" in j.inputs and j.id not in ended})
    if training:
        note = f"the rough time does not include the training of {', '.join(training)}"
        plan = plan.model_copy(update={"notes": (*plan.notes, note)})
    leaves = sum(c.eligible for c in plan.candidates)
    samples = known.raw["validation"].n
    targets = len(known.groups) - len(plan.failed)
    estimate = {
        "jobs": len(plan.jobs),
        "cached": sum(job.id in ended for job in plan.jobs),
        "candidates": leaves,
        "samples_scored": (leaves + 2 * targets) * samples,
        "races": leaves + 5 * targets,
        "build_seconds": round(seconds),
        "race_seconds": round(RACE_SECONDS * leaves + 5 * targets * FULL_RACE_SECONDS),
    }
    return plan, estimate


TYPICAL_SECONDS = {"pass": 6.0, "check": 2.0, "data": 1.0}
RACE_SECONDS, FULL_RACE_SECONDS = 4.0, 12.0
