"""The contest on a device without time: score on the host, prove parity, count, choose."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edgeopt.pipeline.away import named, of_first, twin
from edgeopt.pipeline.contest import Contest
from edgeopt.pipeline.decision import Decision
from edgeopt.pipeline.ending import failed, nobody, tested
from edgeopt.pipeline.measure import Bench, Entry
from edgeopt.pipeline.parity import compared, labelled
from edgeopt.schema.job import ArrayRef, Job
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.parity import Parity
from edgeopt.schema.result import SliceFigure
from edgeopt.schema.target import TargetGroup


def is_timed(group: TargetGroup) -> bool:
    """Whether a target's device has time to measure."""
    return "latency" in group.members[0][1].quantities


class CountedBench(Bench):
    """Measures where scoring is slow: a few samples there, all of them on the host."""

    def __init__(self, *asked: Any) -> None:
        super().__init__(*asked)
        self._parities: dict[tuple[str, str], Parity] = {}  # (candidate id, split)

    def score(self, entries: Iterable[Entry], split: str) -> dict[str, dict[str, Measurement]]:
        """As ``Bench.score``. Where the device answers as the host does in the same runtime, the
        figures are the host's, all samples; else the device's own, the few samples.
        """
        entries = list(entries)
        twins = {entry.plan.id: twin(entry) for entry in entries}
        measured = super().score(twins.values(), split)
        jobs = {e.plan.id: self._few_job(e, split) for e in entries if e.plan.eligible}
        missing = [job for job in jobs.values() if job.id not in self.outcomes]
        self.outcomes.update(self.engine.run(missing, self.outcomes))
        for entry in entries:
            entry.error = entry.error or twins[entry.plan.id].error
        return {"source": measured["source"]} | {
            entry.plan.id: found
            for entry in entries
            if (found := self._judged(entry, split, jobs.get(entry.plan.id), measured))
        }

    def sliced(self, entry: Entry, split: str) -> tuple[SliceFigure, ...]:
        """Slices on the host, where parity holds; a few samples make no slices."""
        parity = self._parities.get((entry.plan.id, split))
        return super().sliced(twin(entry), split) if parity and parity.holds else ()

    def kept(self, entry: Entry, split: str) -> dict[str, ArrayRef]:
        """What the host answered, where parity holds: the figures are made of that."""
        parity = self._parities.get((entry.plan.id, split))
        return super().kept(twin(entry), split) if parity and parity.holds else {}

    def _judged(
        self,
        entry: Entry,
        split: str,
        job: Job | None,
        measured: dict[str, dict[str, Measurement]],
    ) -> dict[str, Measurement]:
        """Figures of one entry; none, and its error set, where it could not be scored.

        One without a job of its own is no choice: what the host says of it is enough.
        """
        host = self.outcomes[self._entry_job(twin(entry), split).id]
        if job is None:
            return labelled(measured.get(entry.plan.id, {}), "measured on the host")
        few = self.outcomes[job.id]
        if not few.ok or not host.ok or entry.plan.id not in measured:
            entry.error = few.error or host.error or {"what": "it could not be scored on the host"}
            return {}
        entry.placement = dict(few.value.get("placement", {}))
        device, outputs = named(entry.target), self.figures.outputs(few, entry.made)
        parity = compared(self.figures.outputs(host, entry.made), outputs, device)
        if split == "validation":
            entry.keep(parity)
        self._parities[entry.plan.id, split] = parity
        if parity.holds:
            return labelled(measured[entry.plan.id], parity.agreeing)
        n = parity.n
        self.notes.append(
            f"{entry.plan.label} {parity.sentence}; its quality is that of those {n} samples there"
        )
        source = self.figures.outputs(self.outcomes[self._source_job(split).id], self.known.source)
        found = self.figures.of_candidate(outputs, source, split, n)
        return labelled(found, f"measured on {n} samples on {device}")

    def _few_job(self, entry: Entry, split: str) -> Job:
        """The score of a few samples on the device itself."""
        return of_first(self._entry_job(entry, split), entry.facts.samples_max)


class CountedContest(Contest):
    """Nothing is timed: every feasible candidate is counted once, beside the reference."""

    ratio = "ratio.instructions"
    protocol = "count"

    def run(self) -> Decision:
        """Score, count, choose, test."""
        if broken := failed(self):
            return broken
        self.score()
        if broken := failed(self):
            return broken
        contenders = self.standing_as("feasible", "pending")
        self.phase(f"Counting the instructions of {len(contenders)} candidates", len(contenders))
        self._race_each([e for e in contenders if e is not self.reference], self.protocol)
        if self.reference in contenders:
            self._seat_reference(self.protocol)
        self._judge(contenders)
        order = self._order([e for e in self.standing_as("feasible") if e.raced])
        self._time_reference(order)
        return tested(self, order[0]) if order else nobody(self)
