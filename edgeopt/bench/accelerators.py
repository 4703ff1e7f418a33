"""What the runtimes of a device find there to run on: asked of its agent, never imported here."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import Field

from edgeopt.schema.errors import DeviceError
from edgeopt.schema.target import Target, TargetFacts
from edgeopt.transport.channel import Reply
from edgeopt.transport.kinds import Device

ASK_S = 120.0  # a runtime's import and its look for devices


class Found(Reply):
    """Accelerator -> the device or provider behind it."""

    found: dict[str, str] = Field(max_length=64)


def accelerators(device: Device, runtime: str) -> dict[str, str]:
    """What a runtime can run on there, in a fresh agent: it may crash. Raises DeviceError."""
    with (
        tempfile.TemporaryDirectory(prefix="accelerators-") as folder,
        device.lease(Path(folder), exclusive=False) as lease,
        lease.start_agent() as channel,
    ):
        return channel.ask("accelerators", Found, timeout_s=ASK_S, runtime=runtime)[0].found


def with_accelerator(device: Device, target: Target, facts: TargetFacts) -> TargetFacts:
    """The facts with the accelerator's name in them; the same where the target asks for none.

    Raises DeviceError where the runtime finds no such accelerator, naming those that it finds.
    """
    if target.accelerator == "cpu":
        return facts
    available = accelerators(device, target.runtime)
    if target.accelerator not in available:
        raise DeviceError(
            f"{target.runtime} finds no accelerator '{target.accelerator}' there",
            where=str(target),
            hint=f"it finds: {', '.join(available) or 'none'}; 'edgeopt doctor' lists all runtimes",
        )
    machine = {**facts.machine, "accelerator": available[target.accelerator]}
    return facts.model_copy(update={"machine": machine})
