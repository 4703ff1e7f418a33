"""From contests and decisions to the parts of a Result."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from edgeopt.bench.agent_session import FALLBACK
from edgeopt.bench.race import SCHEDULES
from edgeopt.pipeline.contest import Contest
from edgeopt.pipeline.decision import UNDECIDED, Decision
from edgeopt.pipeline.entry import Entry
from edgeopt.pipeline.feeding import inputs_of, outputs_of
from edgeopt.pipeline.measure import Bench
from edgeopt.pipeline.prepare import OPEN
from edgeopt.planner import Known
from edgeopt.schema.job import Outcome
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.plan import Plan
from edgeopt.schema.result import (
    CandidateResult,
    JobLists,
    PassRecord,
    Raced,
    Scores,
    SliceFigure,
    TargetResult,
)
from edgeopt.schema.shown import whole
from edgeopt.schema.target import TargetGroup


def job_lists(outcomes: Iterable[Outcome]) -> JobLists:
    """Ids of jobs by what became of them, sorted."""
    ended = list(outcomes)
    return JobLists(
        ran=tuple(sorted(o.job for o in ended if o.ok and not o.cached)),
        cached=tuple(sorted(o.job for o in ended if o.ok and o.cached)),
        failed=tuple(sorted(o.job for o in ended if not o.ok)),
    )


def target_result(
    contest: Contest,
    decision: Decision,
    plan: Plan,
    outcomes: dict[str, Outcome],
) -> TargetResult:
    front, shown = contest.front(), _shown(contest, decision)
    found = []
    for entry in contest.entries:
        status, reason = contest.standing_of(entry, decision)
        found.append(
            CandidateResult(
                id=entry.plan.id,
                chain=tuple(
                    _pass_record(id, label, plan, outcomes)
                    for id, label in zip(entry.plan.steps, entry.plan.chain, strict=True)
                ),
                label=entry.plan.label,
                target=entry.plan.target,
                status=status,
                reason=reason,
                reference=entry is contest.reference,
                artifact=entry.artifact,
                description=entry.description,
                measurements=entry.measured,
                verdicts=contest.verdicts.get(entry.plan.id, ()),
                unjudged=contest.unjudged(entry),
                scores=_scores(contest, entry),
                raced=cast(Raced, entry.raced),
                against_chosen=_against_chosen(contest, decision, entry),
                placement=entry.placement,
                conversion=entry.conversion,
                parity=tuple(entry.parity.values()),
                on_front=entry.plan.id in front,
            )
        )
    return TargetResult(
        target=str(contest.bench.target),
        objective=contest.objective,
        metric=contest.metric,
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
        stages=contest.stages(),
        inputs=inputs_of(contest.bench, shown) if shown else (),
        outputs=outputs_of(contest.bench, shown) if shown else (),
        exit_code=decision.exit_code,
    )


def _against_chosen(contest: Contest, decision: Decision, entry: Entry) -> Measurement | None:
    """An entry over the chosen, from a race of the two side by side; None without one."""
    chosen = decision.chosen
    return None if chosen is None or entry is chosen else contest.direct(entry, chosen)


def _shown(contest: Contest, decision: Decision) -> Entry | None:
    """The one that a result is about: the chosen, or else the nearest miss."""
    missed = (e for e in contest.entries if e.plan.id == decision.nearest_miss)
    return decision.chosen or next(missed, None)


def _slices(contest: Contest, decision: Decision) -> dict[str, tuple[SliceFigure, ...]]:
    """Figures by class and slice of the chosen, or of the nearest miss, split by split."""
    shown = _shown(contest, decision)
    if shown is None or decision.verdict in ("built", *UNDECIDED):
        return {}
    splits = ["validation", *(["test"] if "measurements" in decision.test else [])]
    found = {split: contest.bench.sliced(shown, split) for split in splits}
    return {split: figures for split, figures in found.items() if figures}


def _scores(contest: Contest, entry: Entry) -> Scores:
    """Where the store keeps what an entry answered, split by split."""
    if entry.error is not None:
        return {}
    found = {split: contest.bench.kept(entry, split) for split in contest.bench.known.raw}
    return {split: refs for split, refs in found.items() if refs}


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


def quick_note() -> str:
    """What a quick run leaves out, and what that means for its figures."""
    short, full = SCHEDULES["short"], SCHEDULES["full"]
    return (
        f"quick run: no candidate raced more than once, in {short.processes} fresh processes; "
        f"without --quick the fastest few race again, in {full.processes} to "
        f"{full.most_processes} processes, and the winner once more after that. A quick run is to "
        "try a recipe out: its times are not to be quoted. Accuracy and size are the same without "
        "--quick; memory was measured only if the recipe asks for it"
    )


def slower(found: TargetResult) -> str:
    """A note where the chosen artifact is proven slower than the reference, else nothing."""
    measured = found.candidate(found.chosen).measurements if found.chosen else {}
    ratio = measured.get("ratio.latency.p50") or measured.get("ratio.instructions")
    if ratio is None or ratio.interval[0] <= 1.0:
        return ""
    counted = ratio.quantity == "ratio.instructions"
    how, what = ("longer", "instructions") if counted else ("slower", "p50 latency")
    return (
        f"on {found.target} the chosen artifact is {how} than the reference: "
        f"{whole(ratio)} its {what}"
    )


def fell_back(found: TargetResult) -> str:
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


def _pass_record(id: str, label: str, plan: Plan, outcomes: dict[str, Outcome]) -> PassRecord:
    job, outcome = plan.job(id), outcomes[id]
    check = plan.job(f"check:{id}")
    checked = outcomes[check.id]
    promise = check.params["promise"]
    return PassRecord(
        label=label,
        name=job.name,
        params=job.params["fields"],
        job=id,
        artifact=outcome.digest,
        seconds=round(outcome.seconds, 3),
        cached=outcome.cached,
        promise=promise["kind"],
        check=checked.value,
        found=outcome.value.get("found", {}),
        error=outcome.error or checked.error,
    )


def source_facts(outcomes: dict[str, Outcome], bench: Bench) -> dict[str, Any]:
    """Digest, form, and where the store keeps what the source answered, split by split."""
    value = outcomes[OPEN].value
    found = {split: bench.kept_of_source(split) for split in bench.known.raw}
    scores = {split: {name: ref.to_json() for name, ref in refs.items()}
              for split, refs in found.items() if refs}  # fmt: skip
    return {"digest": outcomes[OPEN].digest, **value, "scores": scores}


def data_facts(known: Known) -> dict[str, Any]:
    return {
        role: {
            "n": raw.n,
            "digest": raw.digest,
            "labels": {name: ref.to_json() for name, ref in raw.labels.items()},
            "labelled": dict(known.labelled),
            "unshared": list(known.unshared.get(role, ())),
        }
        for role, raw in known.raw.items()
    }
