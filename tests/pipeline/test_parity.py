"""Whether a device answers as the host: what counts as the same, and what is told."""

from __future__ import annotations

import numpy as np

from edgeopt.pipeline.parity import compared, labelled
from edgeopt.schema.measurement import Measurement


def outputs(n: int = 8) -> dict[str, np.ndarray]:
    return {"y": np.random.default_rng(0).standard_normal((n, 10)).astype(np.float32)}


def test_rounding_keeps_parity_and_is_told() -> None:
    host = outputs(20)
    device = {"y": host["y"][:8] + np.float32(1e-6)}
    parity = compared(host, device)
    assert parity.holds and parity.n == 8
    assert parity.agreeing("emulated:x").startswith(
        "measured on the host; 8 outputs on emulated:x agree within 1e-06"
    ) or "9.5e-07" in parity.agreeing("emulated:x")
    told = labelled({"size": Measurement(quantity="size", value=1, unit="bytes")}, "there")
    assert told["size"].protocol == "there"


def test_equal_outputs_agree_to_the_bit() -> None:
    assert compared(outputs(), outputs()).agreeing("d").endswith("on d agree to the bit")


def test_one_flipped_arg_max_breaks_it_and_names_the_sample() -> None:
    host, device = outputs(), outputs()
    device["y"][5] = host["y"][5][::-1]
    parity = compared(host, device)
    assert not parity.holds
    assert (parity.tensor, parity.sample, parity.flips) == ("y", 5, 1)
    assert "(sample 5), and 1 of 8 arg maxes flip" in parity.finding("emulated:x")


def test_a_value_far_off_breaks_it_without_any_class() -> None:
    host = {"y": np.linspace(-1, 1, 6, dtype=np.float32).reshape(6, 1)}
    device = {"y": host["y"] + np.float32(0.02)}
    assert not compared(host, device).holds and compared(host, device).flips == 0
