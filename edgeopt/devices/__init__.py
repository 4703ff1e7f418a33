"""Devices: lend themselves, take files, start agents. They know no models.

``device_named("local").facts(target)`` says what a target is. To measure::

    with device.lease(workdir, exclusive=True, cancelled=event) as lease:
        lease.put({digest: path, ...})
        with lease.start_agent() as channel:
            hello, _ = channel.ask("hello", Hello)
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from edgeopt.schema.errors import UsageError, did_you_mean
from edgeopt.schema.target import Target, TargetFacts

if TYPE_CHECKING:
    from edgeopt.devices.channel import Channel

DEVICES = {  # kind -> file:class in this folder
    "local": "local:LocalDevice",
    "emulated": "emulated:DEVICE",
}


class Lease(Protocol):
    """The use of a device for one measurement; what was put there goes when it ends."""

    def put(self, files: Mapping[str, Path]) -> None:
        """Bring files (digest -> path on the host) to the device. Raises DeviceError."""

    def start_agent(self) -> Channel:
        """A fresh agent process. Raises DeviceError."""


class Device(Protocol):
    """A kind of device, by name; ``quantities`` is what can be measured there."""

    name: str
    quantities: frozenset[str]

    def facts(self, target: Target) -> TargetFacts:
        """What the device says of itself and the target's runtime. Raises DeviceError."""

    def lease(
        self, workdir: Path, *, exclusive: bool, cancelled: threading.Event | None = None
    ) -> AbstractContextManager[Lease]:
        """Borrow the device; ``exclusive`` keeps all other work from it meanwhile.

        ``workdir`` is the caller's own folder on the host. ``cancelled`` ends the wait for the
        device and every agent started under the lease. Raises DeviceError.
        """


def quantities_of(name: str) -> frozenset[str]:
    """What a device of that kind measures; of an unknown kind, what this machine does."""
    file, _, attribute = DEVICES.get(name.partition(":")[0], DEVICES["local"]).partition(":")
    found = getattr(importlib.import_module(f"{__name__}.{file}"), attribute)
    return frozenset(found.quantities)


@cache
def device_named(name: str) -> Device:
    """The device of a target's first part. Raises UsageError for an unknown kind."""
    kind = name.partition(":")[0]
    if kind not in DEVICES:
        raise UsageError(f"unknown device '{name}'", hint=did_you_mean(kind, DEVICES))
    file, _, attribute = DEVICES[kind].partition(":")
    made = getattr(importlib.import_module(f"{__name__}.{file}"), attribute)
    return cast(Device, made(name))
