"""The bench of a device without time: score on the host, and prove parity on a few samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edgeopt.decide.entry import Entry
from edgeopt.decide.events import NotScored, Scored, ScoreEvent, SourceScored
from edgeopt.pipeline.measure import Bench
from edgeopt.pipeline.parity import compared, labelled
from edgeopt.pipeline.remote import host_in_parity, in_parity, named, twin
from edgeopt.schema.job import ArrayRef, Job, Outcome
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

    def score(self, entries: Iterable[Entry], split: str) -> list[ScoreEvent]:
        """As ``Bench.score``. Where the device answers as the host does in the same runtime, the
        figures are the host's, all samples; else the device's own, the few samples.
        """
        entries = list(entries)
        events = super().score([twin(entry) for entry in entries], split)
        jobs = {e.id: self._few_job(e, split) for e in entries if e.plan.eligible}
        self._ended([*jobs.values(), *self._parity_jobs(entries, split)], split)
        by_id = {entry.id: entry for entry in entries}
        return [
            event
            if isinstance(event, SourceScored)
            else self._judged(by_id[event.id], event, jobs.get(event.id))
            for event in events
        ]

    def sliced(self, entry: Entry, split: str) -> tuple[SliceFigure, ...]:
        """Slices on the host, where parity holds; a few samples make no slices."""
        parity = self._parities.get((entry.id, split))
        return super().sliced(twin(entry), split) if parity and parity.holds else ()

    def kept(self, entry: Entry, split: str) -> dict[str, ArrayRef]:
        """What the host answered, where parity holds: the figures are made of that."""
        parity = self._parities.get((entry.id, split))
        return super().kept(twin(entry), split) if parity and parity.holds else {}

    def _judged(
        self, entry: Entry, on_host: Scored | NotScored, job: Job | None
    ) -> Scored | NotScored:
        """Figures of one entry, by what its twin on the host scored.

        One without a job of its own is no choice: what the host says of it is enough.
        """
        split = on_host.split
        if job is None:
            if isinstance(on_host, NotScored):
                return NotScored(split, entry.id, on_host.error, measured=on_host.measured)
            return Scored(split, entry.id, labelled(on_host.measured, "measured on the host"))
        few, host = self.outcomes[job.id], self.outcomes[self.jobs.score(twin(entry), split).id]
        if not few.ok or not host.ok or isinstance(on_host, NotScored):
            error = few.error or host.error or {"what": "it could not be scored on the host"}
            return NotScored(split, entry.id, error)
        several = [self.outcomes[each.id] for each in self._parity_jobs([entry], split)]
        for side in several:
            if not side.ok:
                return NotScored(split, entry.id, side.error)
        return self._compared(entry, on_host, few, several or [host, few])

    def _compared(
        self, entry: Entry, on_host: Scored, few: Outcome, sides: list[Outcome]
    ) -> Scored:
        """Figures of one entry that answered on both; ``sides``, the host's and the device's
        scores, are what is compared."""
        device, split = named(entry.target), on_host.split
        outputs = self.figures.outputs(few, entry.described)
        answers = [self.figures.outputs(side, entry.described) for side in sides]
        parity = compared(answers[0], answers[1], device)
        self._parities[entry.id, split] = parity
        if parity.holds:
            measured = labelled(on_host.measured, parity.agreeing)
        else:
            n = parity.n
            self.notes.append(
                f"{entry.plan.label} {parity.sentence}; its quality is measured on those {n} "
                "samples there"
            )
            ended = self.outcomes[self.jobs.source_score(split).id]
            source = self.figures.outputs(ended, self.known.source)
            figures = self.figures.of_candidate(outputs, source, split, n)
            measured = labelled(figures, f"measured on {n} samples on {device}")
        return Scored(
            split,
            entry.id,
            measured,
            placement=dict(few.value.get("placement", {})),
            parity=parity if split == "validation" else None,
        )

    def _parity_jobs(self, entries: Iterable[Entry], split: str) -> list[Job]:
        """Host's and device's scores of a few samples, for entries whose answers are compared
        under other settings than their targets'."""
        return [
            self.jobs.score(side, split, first=entry.facts.samples_max)
            for entry in entries
            if entry.plan.eligible and in_parity(entry).target != entry.target
            for side in (host_in_parity(entry), in_parity(entry))
        ]

    def _few_job(self, entry: Entry, split: str) -> Job:
        """The score of a few samples on the device itself."""
        return self.jobs.score(entry, split, first=entry.facts.samples_max)
