"""From the runs of targets and decisions to the parts of a Result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from edgeopt.bench.agent_session import FALLBACK
from edgeopt.bench.race import SCHEDULES
from edgeopt.decide.decision import UNDECIDED
from edgeopt.decide.elimination import MOST
from edgeopt.decide.entry import Entry
from edgeopt.decide.ledger import Record
from edgeopt.decide.reasons import standing_of
from edgeopt.pipeline.feeding import inputs_of, outputs_of
from edgeopt.pipeline.measure import Bench
from edgeopt.pipeline.prepare import OPEN
from edgeopt.pipeline.target_run import Decided
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
    bench: Bench, decided: Decided, plan: Plan, outcomes: dict[str, Outcome]
) -> TargetResult:
    """All that is told of a target."""
    decision, standings = decided
    front, shown = standings.front(), _shown(decided)
    candidates = []
    for id, record in standings.ledger.records.items():
        entry, (status, reason) = record.entry, standing_of(standings, id, decision)
        candidates.append(
            CandidateResult(
                id=id,
                chain=tuple(
                    _pass_record(step, label, plan, outcomes)
                    for step, label in zip(entry.plan.steps, entry.plan.chain, strict=True)
                ),
                label=entry.plan.label,
                target=str(entry.target),
                settings=entry.settings,
                tried=record.tried,
                status=status,
                reason=reason,
                reference=id == standings.reference,
                artifact=entry.artifact,
                description=entry.description,
                measurements=dict(record.measured),
                before=dict(record.before),
                verdicts=standings.verdicts.get(id, ()),
                unjudged=standings.unjudged(id),
                scores=_scores(bench, record),
                raced=cast(Raced, record.raced),
                against_chosen=_against_chosen(decided, id),
                placement=dict(record.placement),
                conversion=record.conversion,
                parity=tuple(record.parity.values()),
                on_front=id in front,
            )
        )
    return TargetResult(
        target=str(bench.target),
        objective=standings.terms.objective,
        metric=standings.metric,
        machine=_machine(bench.group),
        reference=standings.reference,
        source=dict(standings.ledger.source),
        candidates=tuple(candidates),
        chosen=decision.chosen,
        verdict=decision.verdict,
        sentence=decision.sentence,
        nearest_miss=decision.nearest_miss,
        test=decision.test,
        slices=_slices(bench, decided),
        stages=standings.stages(),
        inputs=inputs_of(bench, shown) if shown else (),
        outputs=outputs_of(bench, shown) if shown else (),
        exit_code=decision.exit_code,
    )


def _against_chosen(decided: Decided, id: str) -> Measurement | None:
    """A candidate over the chosen, from a race of the two side by side; None without one."""
    decision, standings = decided
    if decision.chosen is None or id == decision.chosen:
        return None
    return standings.direct(id, decision.chosen)


def _shown(decided: Decided) -> Entry | None:
    """The one that a result is about: the chosen, or else the nearest miss."""
    decision, standings = decided
    return standings.ledger.entries.get(decision.chosen or decision.nearest_miss or "")


def _slices(bench: Bench, decided: Decided) -> dict[str, tuple[SliceFigure, ...]]:
    """Figures by class and slice of the chosen, or of the nearest miss, split by split."""
    decision, shown = decided.decision, _shown(decided)
    if shown is None or decision.verdict in ("built", *UNDECIDED):
        return {}
    splits = ["validation", *(["test"] if "measurements" in decision.test else [])]
    sliced = {split: bench.sliced(shown, split) for split in splits}
    return {split: figures for split, figures in sliced.items() if figures}


def _scores(bench: Bench, record: Record) -> Scores:
    """Where the store keeps what a candidate answered, split by split."""
    if record.error is not None:
        return {}
    kept = {split: bench.kept(record.entry, split) for split in bench.known.raw}
    return {split: refs for split, refs in kept.items() if refs}


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
    short = SCHEDULES["short"]
    return (
        f"quick run: each candidate raced at most once, in {short.processes} fresh processes; "
        f"without --quick those that may be the best race on, in up to {MOST} processes, and "
        "the winner once more after that. Use a quick run to "
        "try a recipe, and do not quote its times. Accuracy and size are the same without "
        "--quick. A quick run measures memory only if the recipe asks for it, a full run always "
        "measures that of the finalists"
    )


def slower(result: TargetResult) -> str:
    """A note where the chosen artifact is proven slower than the reference, else nothing."""
    measured = result.candidate(result.chosen).measurements if result.chosen else {}
    ratio = measured.get(f"ratio.{result.speed}")
    if ratio is None or ratio.interval[0] <= 1.0:
        return ""
    how, what = "slower", "p50 latency"
    if result.speed == "instructions":
        how, what = "longer", "instructions"
    return (
        f"on {result.target} the chosen artifact is {how} than the reference: "
        f"{whole(ratio)} its {what}"
    )


def fell_back(result: TargetResult) -> str:
    """A note where figures of a target were measured beside its accelerator, else nothing."""
    fell = [
        candidate
        for candidate in result.candidates
        if any(FALLBACK in measured.marks for measured in candidate.measurements.values())
    ]
    if not fell:
        return ""
    placement = ", ".join(f"{n} on {name}" for name, n in fell[0].placement.items())
    return (
        f"on {result.target} nodes of {len(fell)} candidates ran on other providers, as allowed; "
        f"those of '{fell[0].label}': {placement}"
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


def told_by_passes(plan: Plan, outcomes: Mapping[str, Outcome]) -> list[str]:
    """The notes of all passes that ended well, each once."""
    made = (outcomes[job.id] for job in plan.jobs if job.kind == "pass" and job.id in outcomes)
    told = [outcome.value.get("found", {}).get("notes", ()) for outcome in made if outcome.ok]
    return list(dict.fromkeys(str(note) for notes in told for note in notes))


def source_facts(outcomes: dict[str, Outcome], bench: Bench) -> dict[str, Any]:
    """Digest, form, and where the store keeps what the source answered, split by split."""
    value = outcomes[OPEN].value
    kept = {split: bench.kept_of_source(split) for split in bench.known.raw}
    scores = {split: {name: ref.to_json() for name, ref in refs.items()}
              for split, refs in kept.items() if refs}  # fmt: skip
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
