"""What was found of candidates: values that benches return and a ledger folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeopt.decide.steps import Race, Settings
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.errors import DeviceError, UnreachableError, WorkerError
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.parity import Parity

Figures = Mapping[str, Measurement]  # by quantity


@dataclass(frozen=True)
class SourceScored:
    """The source's own figures on a split."""

    split: str
    measured: Figures


@dataclass(frozen=True)
class Scored:
    """A candidate's figures on a split; ``placement`` is None where nobody told it."""

    split: str
    id: str
    measured: Figures
    placement: Mapping[str, int] | None = None
    parity: Parity | None = None
    settings: Settings = ()  # it was scored under


@dataclass(frozen=True)
class NotScored:
    """A candidate that gave no answers on a split, or none that can be taken."""

    split: str
    id: str
    error: dict[str, str] | None
    placement: Mapping[str, int] | None = None
    measured: Figures = field(default_factory=dict)  # of answers that it was refused for
    settings: Settings = ()  # it was scored under


@dataclass(frozen=True)
class Raced:
    """What a race showed: figures of both sides, and ratios (``ratio.Q``) of first over second."""

    race: Race
    first: Figures
    second: Figures
    ratios: Figures
    placement: Mapping[str, int] | None = None  # of the first


@dataclass(frozen=True)
class NotRaced:
    """A race that failed."""

    race: Race
    error: dict[str, str] | None


@dataclass(frozen=True)
class Compared:
    """What was found of a candidate's answers on a device against a yardstick."""

    id: str
    parity: Parity


@dataclass(frozen=True)
class Converted:
    """What passes did to a candidate's number format."""

    id: str
    conversion: Conversion


@dataclass(frozen=True)
class DeviceLost:
    """The device cannot be reached any more."""

    error: UnreachableError


@dataclass(frozen=True)
class DeviceFailed:
    """Nothing can be measured on the device."""

    error: DeviceError


@dataclass(frozen=True)
class WorkerLost:
    """The worker that tested the winner was lost."""

    error: WorkerError


ScoreEvent = SourceScored | Scored | NotScored
RaceEvent = Raced | NotRaced
Finding = ScoreEvent | RaceEvent | Compared | Converted
Lost = DeviceLost | DeviceFailed | WorkerLost
Event = ScoreEvent | RaceEvent | Lost
