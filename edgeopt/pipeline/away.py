"""Benches for what is not this machine's CPU: the same samples are asked of the host, too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from edgeopt.pipeline.measure import Bench, Entry
from edgeopt.pipeline.parity import SAMPLES_MAX, compared
from edgeopt.schema.errors import EdgeoptError
from edgeopt.schema.job import Job
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.target import Target, TargetFacts, TargetGroup
from edgeopt.transport.kinds import device_named

SETTINGS = {"device": "local", "accelerator": "cpu", "mode": "eager", "precision": "fp32"}


def is_away(group: TargetGroup) -> bool:
    """Whether a target is anything else than a runtime on this machine's CPU."""
    return any(target != _host_target(target) for target, _ in group.members)


def twin(entry: Entry) -> Entry:
    """The same artifact on the host's CPU, in the same runtime. Raises DeviceError without it."""
    target = _host_target(entry.target)
    facts: TargetFacts = device_named("local").facts(target)
    return replace(entry, target=target, facts=facts, measured={}, duels={}, placement={})


def of_first(job: Job, n: int) -> Job:
    """The score of a split's first ``n`` samples."""
    return job.model_copy(
        update={"id": f"{job.id} (first {n})", "params": {**job.params, "first": n}}
    )


def _host_target(target: Target) -> Target:
    return target.model_copy(update=SETTINGS)


class AwayBench(Bench):
    """Scores a whole split on the device, and compares its first samples with the host's."""

    def score(self, entries: Iterable[Entry], split: str) -> dict[str, dict[str, Measurement]]:
        """As ``Bench.score``; what answers otherwise than on the host is a note."""
        entries = list(entries)
        measured = super().score(entries, split)
        if split == "validation":
            self._compare([e for e in entries if e.error is None and e.plan.id in measured], split)
        return measured

    def _compare(self, entries: list[Entry], split: str) -> None:
        """Keep the parity of each entry. Where the host lacks the runtime, a note says so."""
        try:
            twins = {entry.plan.id: twin(entry) for entry in entries}
        except EdgeoptError as error:
            self.notes.append(f"{self.target} was not compared with the host: {error.what}")
            return
        jobs = {
            id: of_first(self._entry_job(entry, split), SAMPLES_MAX) for id, entry in twins.items()
        }
        missing = [job for job in jobs.values() if job.id not in self.outcomes]
        self.outcomes.update(self.engine.run(missing, self.outcomes))
        for entry in entries:
            host = self.outcomes[jobs[entry.plan.id].id]
            if not host.ok:
                why = (host.error or {}).get("what", host.status)
                self.notes.append(f"{entry.plan.label} was not compared with the host: {why}")
                continue
            there = self.outcomes[self._entry_job(entry, split).id]
            found = compared(
                self.figures.outputs(host, entry.made),
                self.figures.outputs(there, entry.made),
                named(entry.target),
            )
            entry.keep(found)
            if not found.holds:
                self.notes.append(f"{entry.plan.label} {found.sentence}")


def named(target: Target) -> str:
    """What parity calls a target: its device, or its accelerator on this machine."""
    return str(target) if target.device == "local" else target.device
