"""What a device is, and the kinds there are: files of ``edgeopt/devices``, and entry points."""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

from edgeopt.schema import plugged
from edgeopt.schema.errors import UsageError, did_you_mean
from edgeopt.schema.target import Target, TargetFacts
from edgeopt.transport.file import stamp

if TYPE_CHECKING:
    from edgeopt.transport.channel import Channel, Hello

GROUP = "edgeopt.devices"  # the package, and the group of entry points
OFFLINE = "offline"  # a device by name only: what reaches it is carried there
Note = Callable[[str], None]


def _silent(_text: str) -> None:
    """Nobody to tell."""


class Lease(Protocol):
    """The use of a device for one measurement; what was put there goes when it ends.

    ``at_once``: how many agents may get ready together.
    """

    at_once: int

    def put(self, files: Mapping[str, Path]) -> None:
        """Bring files (digest -> path on the host) to the device. Raises DeviceError."""

    def start_agent(self) -> Channel:
        """A fresh agent process. Raises DeviceError."""


class Device(Protocol):
    """A kind of device, by name; ``quantities`` is what can be measured there.

    ``here`` says whether it works on this machine's cores: only then do its races need the
    machine's bench lock.
    """

    name: str
    quantities: frozenset[str]
    here: ClassVar[bool]

    def hello(self) -> Hello:
        """What the device's agent says of itself; asked once. Raises DeviceError."""

    def facts(self, target: Target) -> TargetFacts:
        """What the device says of itself and the target's runtime. Raises DeviceError."""

    def lease(
        self,
        workdir: Path,
        *,
        exclusive: bool,
        cancelled: threading.Event | None = None,
        note: Note = _silent,
    ) -> AbstractContextManager[Lease]:
        """Borrow the device; ``exclusive`` keeps all other work from it meanwhile.

        ``workdir`` is the caller's own folder on the host. ``cancelled`` ends the wait for the
        device and every agent started under the lease; ``note`` is told whom it waits for.
        Raises DeviceError.
        """


def quantities_of(name: str) -> frozenset[str]:
    """What a device of that kind measures. Raises UsageError for an unknown kind."""
    return frozenset(device_kind(name.partition(":")[0]).quantities)


def device_named(name: str) -> Device:
    """The device of a target's first part. Raises UsageError for one that nobody knows."""
    kind = device_kind(name.partition(":")[0])
    if getattr(kind, "Settings", None) is None:
        return _made(kind, name, None)
    return _made(kind, name, stamp())


def works_here(name: str) -> bool:
    """Whether a device works on this machine's cores. Raises UsageError for an unknown kind."""
    return bool(getattr(device_kind(name.partition(":")[0]), "here", True))


@cache
def device_kind(kind: str) -> type[Device]:
    """The class of a kind. Raises UsageError for an unknown one."""
    device_class = _built_in(kind) if kind.isidentifier() else None
    if device_class is None:
        point = plugged.points(GROUP).get(kind)
        device_class = plugged.load(point) if point else None
    if device_class is None:
        hint = did_you_mean(kind, device_kinds())
        if kind == OFFLINE:
            hint = "offline boards are reached by hand: see 'edgeopt job export'"
        raise UsageError(f"unknown device '{kind}'", hint=hint)
    return cast("type[Device]", device_class)


@cache
def device_kinds() -> tuple[str, ...]:
    """All kinds there are, built in and plugged in."""
    spec = importlib.util.find_spec(GROUP)
    places = spec.submodule_search_locations if spec else None
    here = [info.name for info in iter_modules(places) if _built_in(info.name)]
    return tuple(sorted({*here, *plugged.points(GROUP)}))


def _built_in(kind: str) -> object:
    if importlib.util.find_spec(f"{GROUP}.{kind}") is None:
        return None
    return getattr(importlib.import_module(f"{GROUP}.{kind}"), "DEVICE", None)


@cache
def _made(kind: type[Device], name: str, _stamp: object) -> Device:
    """One object a device, as long as the devices file stays as it is."""
    return kind(name)  # type: ignore[call-arg]
