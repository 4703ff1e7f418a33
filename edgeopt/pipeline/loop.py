"""The one loop: plan, run, score, race, decide, write. Only this module knows all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from edgeopt.bench.jobs import run_bench
from edgeopt.bench.rig import FALLBACK
from edgeopt.engine import Engine
from edgeopt.pipeline.away import AwayBench, is_away
from edgeopt.pipeline.contest import Contest, Decision
from edgeopt.pipeline.contests import decide_all
from edgeopt.pipeline.counted import CountedBench, CountedContest, is_timed
from edgeopt.pipeline.measure import Bench, Entry
from edgeopt.pipeline.prepare import OPEN, installed_version, prepare
from edgeopt.pipeline.saturation import Checked, check_saturation
from edgeopt.pipeline.targets import in_order
from edgeopt.pipeline.write import check_writable, write_result
from edgeopt.planner import SOURCE_CHECK, Known
from edgeopt.planner import make_plan as plan_jobs
from edgeopt.recipe import Recipe
from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.errors import from_record
from edgeopt.schema.event import Event
from edgeopt.schema.job import Outcome
from edgeopt.schema.measurement import figure, span
from edgeopt.schema.plan import Plan
from edgeopt.schema.result import (
    CandidateResult,
    JobLists,
    PassRecord,
    Result,
    SliceFigure,
    TargetResult,
)
from edgeopt.schema.target import TargetGroup
from edgeopt.store import Store

OnEvent = Callable[[Event], None]
LIBRARIES = (
    "edgeopt", "numpy", "onnx", "onnxruntime", "onnxsim", "openvino", "ai-edge-litert",
    "ai-edge-quantizer", "torch", "onnxscript", "litert-torch",
)  # fmt: skip
EXIT_ORDER = (1, 3, 4, 5)  # of several targets, the first of these that applies


def run_recipe(
    recipe: Recipe,
    *,
    store: Store,
    out: Path | None,
    on_event: OnEvent = lambda _event: None,
    bench: bool = True,
    quick: bool = False,
) -> Result:
    """Run a recipe: build every candidate, measure, choose, and write ``out``.

    Without ``bench`` the artifacts are built and checked, and nothing is scored or timed.
    ``quick`` makes every race a short one: wider intervals, for trying a recipe out.
    Raises EdgeoptError for what stops the whole run; a candidate that fails only loses, and a
    target that is out of reach is left out while another is not.
    """
    if out is not None:
        check_writable(out)
    started, clock = datetime.now(UTC), time.monotonic()
    limit = recipe.limits.time_s
    deadline = None if limit is None else clock + limit
    with Engine(store, on_event=on_event, bench=run_bench, deadline=deadline) as engine:
        on_event(Event(what="phase", text="Reading the model and the data"))
        known, outcomes = prepare(recipe, engine)
        plan = plan_jobs(recipe, known)
        for note in [*plan.notes, *(str(error) for error in known.unreachable.values())]:
            on_event(Event(what="note", text=note))
        count = sum(c.eligible for c in plan.candidates)
        on_event(Event(what="phase", text=f"Building {count} candidates"))
        outcomes.update(engine.run(plan.jobs, outcomes))
        if (unsound := outcomes.get(SOURCE_CHECK)) and unsound.error:
            raise from_record(unsound.error)
        checked = Checked(plan)
        if bench and not quick:
            asked = recipe, known, plan, engine, store, outcomes, on_event
            checked = check_saturation(*asked)
        plan, contests, notes = checked.plan, [], [*plan.notes, *checked.notes]
        for group in known.groups:
            entries, reference, merged = _entries(plan, group, outcomes)
            checked.keep(entries)
            notes += merged
            bench_kind, kind = _kinds(group)
            bench_of = bench_kind(recipe, known, engine, store, outcomes, group)
            contests.append(kind(bench_of, entries, reference, on_event, deadline, quick))
        another = partial(Engine, store, on_event=on_event, bench=run_bench, deadline=deadline)
        decisions = (
            decide_all(contests, engine, another)
            if bench
            else [_built(c.entries) for c in contests]
        )
        lost = [d.error for d in decisions if d.error is not None]
        if lost and len(lost) == len(decisions):
            raise lost[0]
        notes += [note for contest in contests for note in contest.bench.notes]
        results = [
            _target_result(contest, decision, plan, outcomes)
            for contest, decision in zip(contests, decisions, strict=True)
        ]
    results = in_order(recipe, results, known.unreachable)
    notes += [note for found in results for note in (_slower(found), _fell_back(found)) if note]
    result = Result(
        edgeopt=installed_version("edgeopt"),
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock, 3),
        recipe=recipe.spelled(),
        recipe_path=recipe.path.name if recipe.path else "",
        source=_source(outcomes),
        data=_data(known),
        versions={name: v for name in LIBRARIES if (v := installed_version(name))},
        jobs=job_lists(outcomes.values()),
        targets=tuple(results),
        notes=tuple(dict.fromkeys(notes)),
        exit_code=_exit_code([r.exit_code for r in results]),
    )
    return write_result(result, store, out) if out is not None else result


def _kinds(group: TargetGroup) -> tuple[type[Bench], type[Contest]]:
    """How a target is measured and how it is decided."""
    if not is_timed(group):
        return CountedBench, CountedContest
    return AwayBench if is_away(group) else Bench, Contest


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
    plan = plan.model_copy(update={"notes": (*plan.notes, *lost)})
    found: dict[str, Outcome] = dict(outcomes)
    seconds = 0.0
    for job in plan.jobs:
        digests = {role: found[id].digest for role, id in job.inputs.items() if id in found}
        kept = store.outcome(job.cache_key(digests)) if len(digests) == len(job.inputs) else None
        if kept is not None:
            found[job.id] = kept
        else:
            seconds += TYPICAL_SECONDS.get(job.kind, 5.0)
    training = sorted({j.name for j in plan.jobs if "train" in j.inputs and j.id not in found})
    if training:
        told = f"the rough time leaves out how long {', '.join(training)} trains"
        plan = plan.model_copy(update={"notes": (*plan.notes, told)})
    leaves = sum(c.eligible for c in plan.candidates)
    samples = known.raw["validation"].n
    targets = len(known.groups)
    estimate = {
        "jobs": len(plan.jobs),
        "cached": sum(job.id in found for job in plan.jobs),
        "candidates": leaves,
        "samples_scored": (leaves + 2 * targets) * samples,
        "races": leaves + 5 * targets,
        "build_seconds": round(seconds),
        "race_seconds": round(RACE_SECONDS * leaves + 5 * targets * FULL_RACE_SECONDS),
    }
    return plan, estimate


TYPICAL_SECONDS = {"pass": 6.0, "check": 2.0, "data": 1.0}
RACE_SECONDS, FULL_RACE_SECONDS = 4.0, 12.0


def job_lists(outcomes: Iterable[Outcome]) -> JobLists:
    """Ids of jobs by what became of them, sorted."""
    ended = list(outcomes)
    return JobLists(
        ran=tuple(sorted(o.job for o in ended if o.ok and not o.cached)),
        cached=tuple(sorted(o.job for o in ended if o.ok and o.cached)),
        failed=tuple(sorted(o.job for o in ended if not o.ok)),
    )


def _entries(
    plan: Plan, group: TargetGroup, outcomes: dict[str, Outcome]
) -> tuple[list[Entry], Entry, list[str]]:
    """The entries of a target, equal files merged into the first, and the reference."""
    entries: list[Entry] = []
    notes: list[str] = []
    by_digest: dict[tuple[str, str], Entry] = {}
    reference: Entry | None = None
    members = {str(target): (target, facts) for target, facts in group.members}
    for candidate in plan.candidates:
        if candidate.group != str(group):
            continue
        target, facts = members[candidate.target]
        entry = Entry(candidate, target, facts)
        ended = outcomes[candidate.job]
        checked = outcomes[candidate.check] if candidate.check else ended
        if ended.ok and checked.ok:
            entry.artifact = Artifact.model_validate(ended.value["artifact"])
            entry.description = Description.model_validate(ended.value["description"])
            twin = by_digest.setdefault((candidate.target, entry.artifact.digest), entry)
        else:
            entry.error, twin = (checked if ended.ok else ended).error or {}, entry
        if twin is not entry:
            notes.append(f"{candidate.label} came to the same file as {twin.plan.label}")
            twin.plan = twin.plan.model_copy(
                update={
                    "eligible": twin.plan.eligible or candidate.eligible,
                    "reference": twin.plan.reference or candidate.reference,
                }
            )
        else:
            entries.append(entry)
        if candidate.reference:
            reference = twin
    assert reference is not None, "the planner gives every target a reference"
    if reference.artifact is None:
        raise from_record(reference.error or {"what": "the reference could not be made"})
    return entries, reference, notes


def _built(entries: Sequence[Entry]) -> Decision:
    made = sum(e.error is None and e.plan.eligible for e in entries)
    return Decision("built", f"{made} candidates built and checked; nothing was measured")


def _target_result(
    contest: Contest,
    decision: Decision,
    plan: Plan,
    outcomes: dict[str, Outcome],
) -> TargetResult:
    front = contest.front()
    found = []
    for entry in contest.entries:
        status, reason = contest.standing_of(entry, decision)
        found.append(
            CandidateResult(
                id=entry.plan.id,
                chain=tuple(_pass_record(id, plan, outcomes) for id in entry.plan.steps),
                label=entry.plan.label,
                target=entry.plan.target,
                status=status,
                reason=reason,
                reference=entry is contest.reference,
                artifact=entry.artifact,
                description=entry.description,
                measurements=entry.measured,
                verdicts=contest.verdicts.get(entry.plan.id, ()),
                placement=entry.placement,
                parity=tuple(entry.parity.values()),
                on_front=entry.plan.id in front,
            )
        )
    return TargetResult(
        target=str(contest.bench.target),
        objective=contest.objective,
        machine=_machine(contest.bench.group),
        reference=contest.reference.plan.id,
        source=contest.bench.source,
        candidates=tuple(found),
        chosen=decision.chosen.plan.id if decision.chosen else None,
        verdict=decision.verdict,
        sentence=decision.sentence,
        nearest_miss=decision.nearest_miss,
        test=decision.test,
        slices=_slices(contest, decision),
        exit_code=decision.exit_code,
    )


def _slices(contest: Contest, decision: Decision) -> dict[str, tuple[SliceFigure, ...]]:
    """Figures by class and slice of the chosen, or of the nearest miss, split by split."""
    shown = decision.chosen or next(
        (e for e in contest.entries if e.plan.id == decision.nearest_miss), None
    )
    if shown is None or decision.verdict in ("built", "unreachable"):
        return {}
    splits = ["validation", *(["test"] if "measurements" in decision.test else [])]
    found = {split: contest.bench.sliced(shown, split) for split in splits}
    return {split: figures for split, figures in found.items() if figures}


def _machine(group: TargetGroup) -> dict[str, Any]:
    """ISA, runtimes with versions, and what else the device says of itself."""
    _, facts = group.members[0]
    runtimes = {target.runtime: each.runtime_version for target, each in group.members}
    return {
        "isa": facts.isa,
        "runtime_version": ", ".join(
            f"{name} {version}" if len(runtimes) > 1 else version
            for name, version in runtimes.items()
        ),
        "runtimes": runtimes,
        **facts.machine,
    }


def _slower(found: TargetResult) -> str:
    """A note where the chosen artifact is proven slower than the reference, else nothing."""
    measured = found.candidate(found.chosen).measurements if found.chosen else {}
    ratio = measured.get("ratio.latency.p50") or measured.get("ratio.instructions")
    if ratio is None or ratio.interval[0] <= 1.0:
        return ""
    counted = ratio.quantity == "ratio.instructions"
    how, what = ("longer", "instructions") if counted else ("slower", "p50 latency")
    return (
        f"on {found.target} the chosen artifact is {how} than the reference: "
        f"{figure(ratio.value, 'x')} ({span(*ratio.interval, 'x')}) its {what}"
    )


def _fell_back(found: TargetResult) -> str:
    """A note where figures of a target were measured beside its accelerator, else nothing."""
    fell = [
        candidate
        for candidate in found.candidates
        if any(FALLBACK in measured.marks for measured in candidate.measurements.values())
    ]
    if not fell:
        return ""
    told = ", ".join(f"{n} on {name}" for name, n in fell[0].placement.items())
    return (
        f"on {found.target} nodes of {len(fell)} candidates ran elsewhere than asked, as allowed; "
        f"those of '{fell[0].label}': {told}"
    )


def _pass_record(id: str, plan: Plan, outcomes: dict[str, Outcome]) -> PassRecord:
    job, outcome = plan.job(id), outcomes[id]
    check = plan.job(f"check:{id}")
    checked = outcomes[check.id]
    promise = check.params["promise"]
    return PassRecord(
        label=id.rpartition("/")[2],
        name=job.name,
        params=job.params["fields"],
        job=id,
        artifact=outcome.digest,
        seconds=round(outcome.seconds, 3),
        cached=outcome.cached,
        promise=promise["kind"],
        check=checked.value,
        error=outcome.error or checked.error,
    )


def _source(outcomes: dict[str, Outcome]) -> dict[str, Any]:
    value = outcomes[OPEN].value
    return {"digest": outcomes[OPEN].digest, **value}


def _data(known: Known) -> dict[str, Any]:
    return {
        role: {
            "n": raw.n,
            "digest": raw.digest,
            "label_digest": raw.labels.blob if raw.labels else "",
        }
        for role, raw in known.raw.items()
    }


def _exit_code(codes: Sequence[int]) -> int:
    return next((code for code in EXIT_ORDER if code in codes), 0)
