"""All that is known of a target's candidates, and the only place where findings are put together.

A record is never changed: folding a finding puts another in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from edgeopt.decide.elimination import pooled
from edgeopt.decide.entry import Entry
from edgeopt.decide.events import (
    Compared,
    Converted,
    Figures,
    Finding,
    NotRaced,
    NotScored,
    Raced,
    Scored,
    SourceScored,
)
from edgeopt.decide.proof import inverse
from edgeopt.decide.steps import Settings
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.parity import Parity
from edgeopt.schema.result import SettingsTrial


@dataclass(frozen=True)
class Record:
    """All that is known of one candidate, as far as the run has come."""

    entry: Entry
    error: dict[str, str] | None = None
    measured: Figures = field(default_factory=dict)
    ratios: Mapping[str, Figures] = field(default_factory=dict)  # by kind of race
    alone: Mapping[str, Figures] = field(default_factory=dict)  # the same, by its own spread
    before: Figures = field(default_factory=dict)  # of one raced afresh: those of its race before
    beside: Figures = field(default_factory=dict)  # the reference's own, last race
    timed_beside: str = ""  # of the reference: whose race its times are of
    timed_in: str = ""  # and which: short, final, count
    placement: Mapping[str, int] = field(default_factory=dict)
    parity: Mapping[tuple[str, str], Parity] = field(default_factory=dict)  # device, yardstick
    conversion: Conversion | None = None  # what passes did to its number format
    raced: str = ""  # the last race: short, full, final, count
    tried: tuple[SettingsTrial, ...] = ()  # other settings of its target

    @property
    def comparable(self) -> Figures:
        """Its figures, those of races from the kind of race that all candidates had."""
        return {**self.measured, **self.before}


class Ledger:
    """Records by candidate and ratios by head-to-head race, in the order of the entries."""

    def __init__(self, entries: Iterable[Entry], reference: str) -> None:
        self.entries = {entry.id: entry for entry in entries}
        self.reference = reference
        self.source: Figures = {}  # on the validation split
        self._records = {id: Record(entry, entry.error) for id, entry in self.entries.items()}
        self._head_to_head: dict[tuple[str, str], Figures] = {}

    def __getitem__(self, id: str) -> Record:
        return self._records[id]

    @property
    def records(self) -> Mapping[str, Record]:
        """By candidate id."""
        return dict(self._records)

    def head_to_head(self, one: str, other: str, ratio: str) -> Measurement | None:
        """One over the other by a ratio, where the two raced; the last race counts."""
        if (measured := self._head_to_head.get((one, other), {}).get(ratio)) is not None:
            return measured
        turned = self._head_to_head.get((other, one), {}).get(ratio)
        return None if turned is None else inverse(turned)

    def fold(self, finding: Finding) -> None:
        """Take a finding into the records that it concerns; what was found under other settings is
        no figure of any candidate, until ``ship`` has taken them."""
        match finding:
            case Raced(race=race) | NotRaced(race=race) if race.settings:
                return
            case Scored(settings=settings) | NotScored(settings=settings) if settings:
                return
            case SourceScored(split="validation"):
                self.source = finding.measured
            case Scored() | NotScored():
                self._fold_score(finding)
            case Raced():
                self._fold_race(finding)
            case NotRaced(race=race):
                self._update(race.first, error=self[race.first].error or finding.error)
            case Compared(id=id, parity=parity):
                self._keep_parity(id, parity)
            case Converted(id=id):
                self._update(id, conversion=finding.conversion)

    def note_trials(self, id: str, tried: Iterable[SettingsTrial]) -> None:
        """Keep what came of other settings of a candidate's target."""
        self._update(id, tried=(*self[id].tried, *tried))

    def ship(self, id: str, settings: Settings, scored: Scored | None = None) -> None:
        """Have a candidate run under settings from now on, and take what it ``scored`` there.

        Times are still those without: race it afresh.
        """
        entry = self.entries[id].under(settings)
        self.entries[id] = entry
        self._update(id, entry=entry)
        if scored is not None:
            self._fold_score(scored)

    def seat_reference(self, protocol: str) -> None:
        """Let the reference count as raced: at exactly 1.00x it needs no race against itself."""
        self._update(self.reference, raced=protocol)

    def time_reference(self, beside: str) -> None:
        """Show the reference's times of the last race beside another, at exactly 1.00x."""
        other = self[beside]
        names = (name for figures in other.ratios.values() for name in figures)
        far = other.entry.target.runtime != self.entries[self.reference].target.runtime
        self._update(
            self.reference,
            measured={**self[self.reference].measured, **other.beside, **at_one(names)},
            timed_beside=(f"{other.entry.target.runtime}: " if far else "")
            + other.entry.plan.label,
            timed_in=other.raced,
        )

    def pool(self, ids: Iterable[str], protocol: str, ratio: str) -> None:
        """Give candidates intervals of a ratio whose variance is pooled over them.

        It replaces the interval that each had from its own few processes alone.
        """
        found = {id: self[id].alone.get(protocol, {}).get(ratio) for id in ids}
        for id, m in pooled({id: m for id, m in found.items() if m is not None}).items():
            record = self[id]
            ratios = {**record.ratios, protocol: {**record.ratios[protocol], ratio: m}}
            last = {**record.measured, ratio: m} if record.raced == protocol else record.measured
            self._update(id, ratios=ratios, measured=last)

    def _update(self, id: str, **changed: object) -> None:
        self._records[id] = replace(self._records[id], **changed)  # type: ignore[arg-type]

    def _keep_parity(self, id: str, parity: Parity) -> None:
        """In place of what was found of the same device against the same yardstick."""
        key = (parity.device, parity.yardstick)
        self._update(id, parity={**self[id].parity, key: parity})

    def _fold_score(self, event: Scored | NotScored) -> None:
        """Figures of the validation split alone are a candidate's own; its size comes with them."""
        id = event.id
        if event.placement is not None:
            self._update(id, placement=event.placement)
        if isinstance(event, NotScored):
            self._update(id, error=event.error)
        elif event.parity is not None:
            self._keep_parity(id, event.parity)
        if event.split == "validation":
            measured = {**self[id].measured, **event.measured, **self._size(id)}
            self._update(id, measured=measured)

    def _fold_race(self, event: Raced) -> None:
        race, record = event.race, self[event.race.first]
        if race.purpose == "head-to-head":
            self._head_to_head.pop((race.second, race.first), None)
            self._head_to_head[race.first, race.second] = event.ratios
        elif race.purpose == "memory":
            self._update(race.first, measured={**record.measured, **event.first})
            other = self[race.second].measured
            self._update(race.second, measured={**other, **event.second})
        elif race.purpose == "alone":
            measured = {**record.measured, **event.first, **at_one(event.ratios)}
            self._update(race.first, measured=measured)
        else:
            self._fold_reference_race(event)

    def _fold_reference_race(self, event: Raced) -> None:
        """Times, ratios, and the reference's times beside them are all of this race."""
        race, record = event.race, self[event.race.first]
        origin = f"; from its race against {record.entry.plan.label}"
        before = record.before
        if race.purpose == "final" and record.raced not in ("", "final"):
            of_race = (*event.ratios, *event.first)
            before = {name: record.measured[name] for name in of_race if name in record.measured}
        self._update(
            race.first,
            raced=race.name,
            before=before,
            ratios={**record.ratios, race.protocol: event.ratios},
            alone={**record.alone, race.protocol: event.ratios},
            measured={**record.measured, **event.ratios, **event.first},
            beside={
                quantity: m.model_copy(update={"protocol": f"{m.protocol}{origin}"})
                for quantity, m in event.second.items()
            },
            placement=record.placement if event.placement is None else event.placement,
        )
        self.time_reference(race.first)

    def _size(self, id: str) -> Figures:
        """Size of an entry's files, exact, and its ratio to the reference's."""
        artifact = self.entries[id].artifact
        base = self.entries[self.reference].artifact
        if artifact is None:
            return {}
        size = Measurement(
            quantity="size",
            value=artifact.size_bytes,
            unit="bytes",
            protocol="sum of the artifact's files",
        )
        if base is None or not base.size_bytes:
            return {"size": size}
        ratio = Measurement(
            quantity="ratio.size",
            value=artifact.size_bytes / base.size_bytes,
            unit="x",
            protocol="over the reference",
        )
        return {"size": size, "ratio.size": ratio}


def at_one(ratios: Iterable[str]) -> dict[str, Measurement]:
    """The reference's ratios to itself: exact."""
    how = "the reference itself: exactly 1"
    return {name: Measurement(quantity=name, value=1.0, unit="x", protocol=how) for name in ratios}
