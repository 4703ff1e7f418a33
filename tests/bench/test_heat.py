"""When a device counts as throttled, and how long one waits for it to cool."""

from __future__ import annotations

import time
from typing import Any

import pytest

from edgeopt.bench import heat
from edgeopt.bench.agent_session import StateReply


def state(celsius: float | None = None, mhz: float | None = None) -> StateReply:
    return StateReply(temperature_c=celsius, frequency_mhz=mhz)


@pytest.mark.parametrize(
    ("before", "after", "throttled"),
    [
        (state(mhz=2000), state(mhz=1790), True),
        (state(mhz=2000), state(mhz=1810), False),
        (state(50, 2000), state(90, 2000), False),  # the clock is what counts where it is told
        (state(50), state(60.5), True),
        (state(50), state(60), False),
        (state(50), state(40), False),
        (state(), state(99), False),
        (state(50, 2000), state(70), True),  # the clock is told but once
        (state(0), state(11), True),
    ],
)
def test_a_clock_that_fell_or_else_heat_is_throttling(
    before: StateReply, after: StateReply, throttled: bool
) -> None:
    assert heat.throttled(before, after) is throttled


class Cooling:
    """An agent whose device tells one state after the other."""

    def __init__(self, *states: StateReply) -> None:
        self.left = list(states)

    def state(self) -> StateReply:
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


@pytest.mark.parametrize(
    ("start", "states"),
    [
        (state(50), [state(70), state(53.5), state(53), state(0)]),
        (state(mhz=2000), [state(mhz=1000), state(mhz=1899), state(mhz=1900), state(mhz=0)]),
    ],
    ids=["by temperature", "by clock"],
)
def test_it_waits_until_the_start_is_reached_and_no_longer(
    monkeypatch: pytest.MonkeyPatch, start: StateReply, states: list[StateReply]
) -> None:
    monkeypatch.setattr(heat, "LOOK_S", 0.001)
    agent: Any = Cooling(*states)
    heat.cool(agent, start)
    assert agent.left == states[3:], "the third state is as cool as the start"


def test_it_gives_up_on_a_device_that_stays_hot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heat, "LOOK_S", 0.01)
    monkeypatch.setattr(heat, "COOL_S", 0.1)
    for agent in (Cooling(state(90)), Cooling(state())):
        began = time.monotonic()
        heat.cool(agent, state(50))  # type: ignore[arg-type]
        assert 0.1 <= time.monotonic() - began < 5


def test_what_was_not_told_stays_untold() -> None:
    assert heat.heat_figures(None, state(40.5)) == {
        "before": None,
        "after": {"temperature_c": 40.5, "frequency_mhz": None},
    }
