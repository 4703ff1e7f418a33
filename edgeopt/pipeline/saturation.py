"""Whether INT8 ONNX artifacts answer otherwise on x86 CPUs with another multiply-add.

A CPU with VNNI sums products of 8 bits in 32 bits, one without it sums pairs of them in 16 bits,
which saturate. With VNNI, an artifact is asked on an emulated core that has none, where one is
set up. Without, the host is the one that saturates, and the same file is run node by node in
float32. What differs gets company: the same chain with the pass's fallbacks.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgeopt.decide.entry import Entry
from edgeopt.decide.events import Compared
from edgeopt.devices.emulated.cores import core_of
from edgeopt.devices.emulated.folder import emulation_folder, manifest
from edgeopt.pipeline.fallbacks import with_fallbacks
from edgeopt.pipeline.measure import Bench
from edgeopt.pipeline.parity import SAMPLES_MAX, compared
from edgeopt.pipeline.work import Work
from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.errors import DeviceError
from edgeopt.schema.job import NODE_BY_NODE, ArrayRef, Job, Outcome
from edgeopt.schema.parity import Parity
from edgeopt.schema.plan import Candidate, Plan
from edgeopt.schema.target import Target, TargetFacts, TargetGroup, parse_target
from edgeopt.transport.kinds import device_named

OLD = "emulated:haswell"
HOST, THERE = (Target(device=device, runtime="onnxruntime") for device in ("local", OLD))
PLAIN = "the same CPU node by node in float32, where no sum of 8-bit products overflows"
CAUSE = "CPUs without VNNI saturate sums of two 8-bit products"


@dataclass(frozen=True)
class Checked:
    """The plan with fallbacks, the parity found of each leaf job, and what is to be told."""

    plan: Plan
    parities: Mapping[str, Parity] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def of(self, entries: Iterable[Entry]) -> list[Compared]:
        """What was found of the files of entries on this machine, or on the old core."""
        return [
            Compared(entry.id, self.parities[entry.plan.job])
            for entry in entries
            if entry.plan.job in self.parities and _is_place(entry.target)
        ]


def check_saturation(work: Work, plan: Plan) -> Checked:
    """Compare every INT8 ONNX artifact for this machine's CPU, and build fallbacks where needed."""
    facts = device_named(HOST.device).facts(HOST) if _concerned(plan) else None
    if facts is None or not facts.isa.startswith("x86_64"):
        return Checked(plan)
    bench = SaturationBench(work, facts)
    if not bench.able:
        return Checked(plan)
    entries = _int8(plan, work.outcomes, facts)
    _phase(work, entries, bench)
    try:
        parities = bench.parities(entries)
    except DeviceError as error:  # nobody asked for that core: the run goes on without it
        note = f"INT8 artifacts were not compared with {bench.device}: {error.what}"
        work.tell("note", note)
        return Checked(plan, notes=(note,))
    bad = {job: parity for job, parity in parities.items() if not parity.holds}
    if text := alike(list(parities.values())):
        work.tell("phase", text)
    return (
        _with_fallbacks(work, Checked(plan, parities), bad, bench, facts)
        if bad
        else Checked(plan, parities)
    )


def _with_fallbacks(
    work: Work, checked: Checked, bad: Mapping[str, Parity], bench: SaturationBench,
    facts: TargetFacts,
) -> Checked:  # fmt: skip
    """What was checked, and the fallbacks of what answers otherwise: built and compared, too."""
    plan, fallbacks = with_fallbacks(work.recipe, work.known, checked.plan, bad)
    work.run(plan.jobs)
    entries = _int8(plan, work.outcomes, facts)
    more = [entry for entry in entries if entry.plan.job not in checked.parities]
    _phase(work, more, bench)
    parities = {**checked.parities, **bench.parities(more)}
    labels = {candidate.job: candidate.label for candidate in plan.candidates}
    notes = []
    for job, parity in bad.items():
        notes.append(_note(labels[job], parity, fallbacks.get(job), parities, labels))
        work.tell("note", notes[-1])
    return Checked(plan, parities, tuple(notes))


class SaturationBench(Bench):
    """Scores the first samples where sums saturate, and where they do not."""

    def __init__(self, work: Work, facts: TargetFacts) -> None:
        group = TargetGroup(asked=HOST, members=((HOST, facts),))
        super().__init__(work.recipe, work.known, work.engine, work.store, work.outcomes, group)
        self.vnni = "vnni" in facts.isa
        self.device = OLD if self.vnni else f"local ({facts.isa})"

    @property
    def able(self) -> bool:
        """Whether both sides of the comparison can be had here."""
        ready = bool(manifest(emulation_folder())) and bool(shutil.which(core_of(OLD).qemu))
        return ready or not self.vnni

    def parities(self, entries: Sequence[Entry]) -> dict[str, Parity]:
        """What each artifact answers, side by side; without those that could not be run."""
        if not entries:
            return {}
        yardstick = "the host" if self.vnni else PLAIN
        mine = {e.plan.job: self.jobs.score(e, "validation") for e in entries}
        other = self._on_old(entries) if self.vnni else {e.plan.job: _plain(self, e)
                                                         for e in entries}  # fmt: skip
        tensors = self.jobs.all_tensors(entries, "validation")
        self._ended([*tensors, *mine.values(), *other.values()], "validation")
        parities = {}
        for entry in entries:
            job = entry.plan.job
            here, there = self.outcomes[mine[job].id], self.outcomes[other[job].id]
            if not here.ok or not there.ok:
                continue
            fused = self.figures.outputs(here, entry.described)
            if self.vnni:
                sides = fused, self.figures.outputs(there, entry.described)
            else:
                refs = there.value["outputs"].items()
                plain = {n: self.store.get_array(ArrayRef.model_validate(r)) for n, r in refs}
                sides = plain, fused
            parities[job] = compared(*sides, self.device, yardstick)
        return parities

    def _on_old(self, entries: Iterable[Entry]) -> dict[str, Job]:
        facts = device_named(OLD).facts(THERE)
        n = facts.samples_max
        there = [replace(entry, target=THERE, facts=facts) for entry in entries]
        return {e.plan.job: self.jobs.score(e, "validation", first=n) for e in there}


def _plain(bench: SaturationBench, entry: Entry) -> Job:
    """The job that runs a file node by node."""
    return Job(
        id=f"{NODE_BY_NODE}:{entry.plan.job}",
        kind="check",
        name=NODE_BY_NODE,
        worker="onnx",
        params={"n": SAMPLES_MAX},
        inputs={
            "model": entry.plan.job,
            "samples": bench.jobs.tensors(entry, "validation").id,
        },
        needs=(entry.plan.check,) if entry.plan.check else (),
        key={"runtime_version": entry.facts.runtime_version},
    )


def _concerned(plan: Plan) -> list[Candidate]:
    """Choices of the plan that are INT8 ONNX and run on this machine's CPU or on the old one."""
    chosen = {
        c.job: c
        for c in plan.candidates
        if c.eligible
        and c.description.format == HOST.format
        and "int8" in c.description.facts
        and _is_place(parse_target(c.target))
    }
    return list(chosen.values())


def _is_place(target: Target) -> bool:
    """This machine's CPU or the old one, in ONNX Runtime: threads and batch change no sum."""
    same = {"threads": 1, "batch": 1}
    return target.model_copy(update=same) in (HOST, THERE)


def _int8(plan: Plan, outcomes: Mapping[str, Outcome], facts: TargetFacts) -> list[Entry]:
    entries = []
    for candidate in _concerned(plan):
        built, checked = outcomes[candidate.job], outcomes.get(candidate.check)
        if built.ok and (checked is None or checked.ok):
            artifact = Artifact.model_validate(built.value["artifact"])
            description = Description.model_validate(built.value["description"])
            entries.append(Entry(candidate, HOST, facts, artifact, description))
    return entries


def _phase(work: Work, entries: Sequence[Entry], bench: SaturationBench) -> None:
    if entries:
        text = f"Comparing {len(entries)} INT8 artifacts in ONNX Runtime with their answers on "
        work.tell("phase", text + (bench.device if bench.vnni else PLAIN))


def alike(parities: Sequence[Parity]) -> str:
    """How many of those compared answer alike, and how far they are off; empty for none."""
    holding = [parity for parity in parities if parity.holds]
    if not holding:
        return ""
    far = max(holding, key=lambda parity: parity.worst / (parity.peak or 1.0))
    which = "All" if len(holding) == len(parities) else f"{len(holding)} of {len(parities)}"
    return f"{which} answer alike there: {far.off}, on {far.n} samples"


def _note(
    label: str,
    parity: Parity,
    fallbacks: Sequence[str] | None,
    parities: Mapping[str, Parity],
    labels: Mapping[str, str],
) -> str:
    """What was found; ``fallbacks`` is None where there was no room for them."""
    text = f"{label} {parity.sentence}. {CAUSE}"
    if fallbacks is not None and not fallbacks:
        return f"{text}; it has no other form to fall back to"
    if fallbacks is None:
        needed = "more candidates than limits.candidates were needed to race fallbacks beside it"
        return f"{text}; {needed}"
    raced = [
        f"{labels[job]} ({'agrees' if parities[job].holds else f'{parities[job].flips} flips'})"
        for job in fallbacks
        if job in parities
    ]
    return f"{text}; built beside it: {', '.join(raced) or 'nothing that could be built'}"
