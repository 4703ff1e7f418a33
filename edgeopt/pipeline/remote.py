"""Benches for what is not this machine's CPU: the same samples are asked of the host, too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from edgeopt.decide.entry import Entry
from edgeopt.decide.events import Scored, ScoreEvent
from edgeopt.pipeline.measure import Bench
from edgeopt.pipeline.parity import SAMPLES_MAX, compared
from edgeopt.schema.errors import EdgeoptError
from edgeopt.schema.parity import Parity
from edgeopt.schema.runtime import runtime_named
from edgeopt.schema.target import Target, TargetFacts, TargetGroup
from edgeopt.transport.kinds import device_named


def is_remote(group: TargetGroup) -> bool:
    """Whether a target is anything else than a runtime on this machine's CPU."""
    return any(target != _host_target(target) for target, _ in group.members)


def twin(entry: Entry) -> Entry:
    """The same artifact on the host's CPU, in the same runtime. Raises DeviceError without it."""
    return _on(entry, _host_target(entry.target))


def host_in_parity(entry: Entry) -> Entry:
    """The same under the settings that answers are compared with. Raises DeviceError."""
    return _on(entry, _host_target(entry.target.in_parity(host=True)))


def in_parity(entry: Entry) -> Entry:
    """The same artifact on its device, under the settings that answers are compared with."""
    return replace(entry, target=entry.target.in_parity())


def _on(entry: Entry, target: Target) -> Entry:
    facts: TargetFacts = device_named("local").facts(target)
    return replace(entry, target=target, facts=facts)


def _host_target(target: Target) -> Target:
    """The host's CPU in place of a device; settings that are an accelerator's matter are left."""
    own = runtime_named(target.runtime).settings
    kept = tuple((name, value) for name, value in target.settings if not own[name].on_host)
    update = {"device": "local", "accelerator": "cpu", "settings": kept}
    return target.model_copy(update=update)


class RemoteBench(Bench):
    """Scores a whole split on the device, and compares its first samples with the host's."""

    def score(self, entries: Iterable[Entry], split: str) -> list[ScoreEvent]:
        """As ``Bench.score``; what answers otherwise than on the host is a note."""
        entries = list(entries)
        events = super().score(entries, split)
        if split != "validation":
            return events
        scored = {event.id for event in events if isinstance(event, Scored)}
        parities = self._parities([e for e in entries if e.id in scored], split)
        return [
            replace(event, parity=parities.get(event.id)) if isinstance(event, Scored) else event
            for event in events
        ]

    def _parities(self, entries: list[Entry], split: str) -> dict[str, Parity]:
        """By candidate id. Where the host lacks the runtime, a note says so."""
        try:
            twins = {entry.id: host_in_parity(entry) for entry in entries}
        except EdgeoptError as error:
            self.notes.append(f"{self.target} was not compared with the host: {error.what}")
            return {}
        jobs = {id: self.jobs.score(entry, split, first=SAMPLES_MAX) for id, entry in twins.items()}
        theirs = {e.id: self.jobs.score(in_parity(e), split) for e in entries}
        self._ended([*jobs.values(), *theirs.values()], split)
        parities = {}
        for entry in entries:
            host = self.outcomes[jobs[entry.id].id]
            if not host.ok:
                why = (host.error or {}).get("what", host.status)
                self.notes.append(f"{entry.plan.label} was not compared with the host: {why}")
                continue
            there = self.outcomes[theirs[entry.id].id]
            if not there.ok:
                continue
            parity = compared(
                self.figures.outputs(host, entry.described),
                self.figures.outputs(there, entry.described),
                named(entry.target),
            )
            parities[entry.id] = parity
            if not parity.holds:
                self.notes.append(f"{entry.plan.label} {parity.sentence}")
        return parities


def named(target: Target) -> str:
    """What parity calls a target: its device, or its accelerator on this machine."""
    return str(target) if target.device == "local" else target.device
