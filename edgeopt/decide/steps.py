"""What a selection asks for next; nothing here does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeopt.decide.decision import Decision

Purpose = Literal["reference", "final", "alone", "head-to-head", "memory", "settings"]
Settings = tuple[tuple[str, str], ...]  # of a target, in place of its own of their names
NAMED = ("final", "alone", "head-to-head", "settings")  # purposes that a race's job is called by


@dataclass(frozen=True)
class Announce:
    """Tell listeners what begins now; it takes so many jobs, where that is known."""

    text: str
    jobs: int | None = None


@dataclass(frozen=True)
class Score:
    """Score the source and these candidates on a split; each is an event of its own.

    Under ``settings`` of the candidates' targets, where there are some.
    """

    ids: tuple[str, ...]
    split: str
    settings: Settings = ()


@dataclass(frozen=True)
class Race:
    """Race one candidate over another.

    ``processes``: exactly so many in all, the first ``earlier`` of them taken before; 0: as many
    as the protocol takes. Against the reference as a first look or in full (``reference``), or
    afresh (``final``); the reference in both seats (``alone``); two finalists
    (``head-to-head``); for peak ``memory``; or under other ``settings`` over itself without them
    (``settings``). Settings are those of the first; the second runs as it is.
    """

    first: str
    second: str
    protocol: str  # short, full, count or memory
    purpose: Purpose = "reference"
    processes: int = 0
    earlier: int = 0
    settings: Settings = ()

    @property
    def name(self) -> str:
        """What it is called among jobs, and in the record of who raced how."""
        return self.purpose if self.purpose in NAMED else self.protocol


@dataclass(frozen=True)
class Done:
    """Nothing more is to be done."""

    decision: Decision


Step = Announce | Score | Race | Done
