"""Throttling: a device that grew slow from its own heat while it was timed."""

from __future__ import annotations

import time
from typing import Any

from edgeopt.bench.agent_session import AgentSession, StateReply

FALL = 0.10  # of the clock, over one process's turns, all under load
RISE_C = 10.0  # where no clock is told
COOL_S, LOOK_S = 30.0, 1.0  # how long to wait for the temperature of the start
NEAR_C = 3.0
REPEATS = 2  # processes that a race takes again


def throttled(before: StateReply, after: StateReply) -> bool:
    """Whether the clock fell, or, where the kernel tells none, the temperature rose."""
    if before.frequency_mhz and after.frequency_mhz:
        return after.frequency_mhz < (1 - FALL) * before.frequency_mhz
    if before.temperature_c is not None and after.temperature_c is not None:
        return after.temperature_c - before.temperature_c > RISE_C
    return False


def cool(agent: AgentSession, start: StateReply) -> None:
    """Wait, idle, until it is about as cool as at the start, or for ``COOL_S`` seconds."""
    ends = time.monotonic() + COOL_S
    while time.monotonic() < ends:
        time.sleep(LOOK_S)
        now = agent.state()
        if _recovered(now, start):
            return


def _recovered(now: StateReply, start: StateReply) -> bool:
    if now.temperature_c is not None and start.temperature_c is not None:
        return now.temperature_c <= start.temperature_c + NEAR_C
    if now.frequency_mhz and start.frequency_mhz:
        return now.frequency_mhz >= (1 - FALL / 2) * start.frequency_mhz
    return False


def heat_figures(before: StateReply | None, after: StateReply | None) -> dict[str, Any]:
    """Plain JSON for the raw samples."""
    states = {"before": before, "after": after}
    return {name: state.model_dump() if state else None for name, state in states.items()}
