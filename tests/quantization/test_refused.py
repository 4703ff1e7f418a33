"""Layers that a quantizer refuses: found in few tries, alone or together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from edgeopt.quantization.refused import MOST, refused

LAYERS = [f"l{i}" for i in range(100)]


def quantizer(*bad: str) -> tuple[Callable[[Sequence[str]], str], list[int]]:
    tries: list[int] = []

    def fails(layers: Sequence[str]) -> str:
        tries.append(len(layers))
        return next((f"no {name}" for name in bad if name in layers), "")

    return fails, tries


@pytest.mark.parametrize("bad", [(), ("l0",), ("l99",), ("l17", "l18", "l60")])
def test_the_layers_to_blame_are_found(bad: tuple[str, ...]) -> None:
    fails, tries = quantizer(*bad)
    assert refused(LAYERS, fails) == {name: f"no {name}" for name in bad}
    assert len(tries) <= 1 + 10 * len(bad)


def test_of_layers_that_fail_together_the_later_is_left_out() -> None:
    def fails(layers: Sequence[str]) -> str:
        return "two" if {"l3", "l40"} <= set(layers) else ""

    assert refused(LAYERS, fails) == {"l40": "two"}


def test_nobody_is_blamed_for_what_fails_anyway_or_everywhere() -> None:
    assert refused(LAYERS, lambda layers: "always") == {}
    assert refused(LAYERS, quantizer(*LAYERS[: MOST + 1])[0]) == {}
    assert len(refused(LAYERS, quantizer(*LAYERS[:MOST])[0])) == MOST
