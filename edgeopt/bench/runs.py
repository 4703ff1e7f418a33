"""What a race takes, raw: nanoseconds by process, side and turn, as they are kept in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from edgeopt.bench.agent_session import StateReply
from edgeopt.bench.heat import heat_figures, throttled
from edgeopt.stats.ratios import percentile

SIDES = ("a", "b")
STATES = ("before", "after")


@dataclass
class Run:
    """Raw results of one process: nanoseconds by side, one array a turn."""

    order: str
    turns: dict[str, list[np.ndarray]] = field(default_factory=lambda: {s: [] for s in SIDES})
    load_ns: dict[str, int] = field(default_factory=dict)
    load: float | None = None
    before: StateReply | None = None  # warm, before the first turn
    after: StateReply | None = None

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Run:
        """What ``to_json`` gave."""
        states = {at: StateReply.model_validate(kept[at]) if kept[at] else None for at in STATES}
        turns = {s: [np.array(t, np.int64) for t in kept["turns"][s]] for s in SIDES}
        return cls(kept["order"], turns, dict(kept["load_ns"]), kept["load"], **states)

    @property
    def throttled(self) -> bool:
        """Whether the device slowed down meanwhile."""
        return bool(self.before and self.after and throttled(self.before, self.after))

    def timed(self, side: str) -> int:
        """How many inferences of a side were timed."""
        return sum(map(len, self.turns[side]))

    def percentile(self, side: str, percent: float) -> float:
        """Milliseconds, over all inferences of a side."""
        return percentile(np.concatenate(self.turns[side]), percent)

    def ratio(self, percent: float) -> float:
        """The percentile of a over that of b."""
        return self.percentile("a", percent) / self.percentile("b", percent)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, every nanosecond kept."""
        turns = {side: [turn.tolist() for turn in found] for side, found in self.turns.items()}
        return {
            "order": self.order,
            "load": self.load,
            "load_ns": self.load_ns,
            "turns": turns,
            **heat_figures(self.before, self.after),
        }


@dataclass(frozen=True)
class Pace:
    """Timed inferences a turn by side, and turns a side: calibrated once a race."""

    loops: Mapping[str, int]
    warm: Mapping[str, int]
    turns: int
    turn_s: float


@dataclass
class Taken:
    """What a race has taken so far: processes, at which pace, and what was seen on the way."""

    runs: list[Run] = field(default_factory=list)
    hot: list[Run] = field(default_factory=list)  # taken again
    pace: Pace | None = None
    placed: dict[str, dict[str, int]] = field(default_factory=dict)
    marks: list[str] = field(default_factory=list)
    machines: dict[str, str] = field(default_factory=dict)

    def to_json(self, protocol: str) -> dict[str, Any]:
        """The raw samples, as they are kept."""
        return {
            "protocol": protocol,
            "unit": "ns",
            "processes": [run.to_json() for run in self.runs],
            "throttled": [run.to_json() for run in self.hot],
            "pace": asdict(self.pace) if self.pace else None,
            "placement": self.placed,
            "marks": self.marks,
            "machines": self.machines,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Taken:
        """What ``to_json`` gave."""
        return cls(
            [Run.from_json(run) for run in kept["processes"]],
            [Run.from_json(run) for run in kept["throttled"]],
            Pace(**kept["pace"]),
            kept["placement"],
            kept["marks"],
            kept["machines"],
        )
