"""Whether a device answers as the host: what counts as the same, and what is told."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt.pipeline.parity import compared, labelled
from edgeopt.schema.measurement import Measurement


def outputs(n: int = 8) -> dict[str, np.ndarray]:
    return {"y": np.random.default_rng(0).standard_normal((n, 10)).astype(np.float32)}


def test_rounding_keeps_parity_and_is_told() -> None:
    host = outputs(20)
    device = {"y": host["y"][:8] + np.float32(1e-6)}
    parity = compared(host, device, "emulated:x")
    assert parity.holds and parity.n == 8
    assert parity.agreeing.startswith("measured on the host; 8 outputs on emulated:x agree within")
    assert parity.worst == pytest.approx(1e-6, rel=0.1)
    said = "answers on emulated:x as on the host: at most "
    assert parity.sentence.startswith(said)
    assert parity.sentence.endswith(
        " of the largest value (1% is allowed), no arg max flips but in near ties, on 8 samples"
    )
    told = labelled({"size": Measurement(quantity="size", value=1, unit="bytes")}, "there")
    assert told["size"].protocol == "there"


def test_equal_outputs_agree_to_the_bit() -> None:
    parity = compared(outputs(), outputs(), "d")
    assert parity.agreeing.endswith("on d agree to the bit")
    assert parity.sentence == "answers on d as on the host: equal to the bit, on 8 samples"


def test_one_flipped_arg_max_breaks_it_and_names_the_sample() -> None:
    host, device = outputs(), outputs()
    device["y"][5] = host["y"][5][::-1]
    parity = compared(host, device, "emulated:x")
    assert not parity.holds
    assert (parity.tensor, parity.sample, parity.flips) == ("y", 5, 1)
    assert "(sample 5), and 1 of 8 arg maxes flip" in parity.sentence


def test_a_value_far_off_breaks_it_without_any_class() -> None:
    host = {"y": np.linspace(-1, 1, 6, dtype=np.float32).reshape(6, 1)}
    device = {"y": host["y"] + np.float32(0.02)}
    parity = compared(host, device, "d")
    assert not parity.holds and parity.flips == 0


def test_a_near_tie_may_flip_and_embeddings_have_no_arg_max() -> None:
    host = {"y": np.array([[1.0, 0.999], [0.0, 1.0]], np.float32)}
    device = {"y": np.array([[0.999, 1.0], [0.0, 1.0]], np.float32)}
    assert compared(host, device, "d").holds
    maps = {"y": np.zeros((2, 3, 4), np.float32)}
    other = {"y": maps["y"] + np.eye(4, dtype=np.float32)[:3] * 0.1}
    assert compared(maps, other, "d").flips == 0 and not compared(maps, other, "d").holds
    assert compared({"y": np.zeros((2, 0))}, {"y": np.zeros((2, 0))}, "d").holds


def test_no_more_than_256_samples_are_compared() -> None:
    host = outputs(300)
    device = {"y": host["y"].copy()}
    device["y"][256:] = 9.0
    assert compared(host, device, "d").n == 256 and compared(host, device, "d").holds


def test_a_difference_of_one_code_is_told_as_the_rounding_that_it_is() -> None:
    """Guards against "0.042 off" of which nobody can tell whether sums overflowed."""
    codes = np.random.default_rng(0).integers(0, 255, (8, 10)).astype(np.float32)
    grid = np.float32(0.0423501)
    moved = codes.copy()
    moved[3, 2] += 1
    parity = compared({"y": codes * grid}, {"y": moved * grid}, "d")
    assert parity.step == pytest.approx(0.0423501, rel=1e-3)
    assert "at most 0.042 off, one step of the integers behind it, as rounding leaves, 0.00" in (
        parity.sentence
    )
    plain = outputs()
    assert compared(plain, {"y": plain["y"] + np.float32(1e-3)}, "d").step == 0.0
    assert compared({"y": np.zeros((8, 3))}, {"y": np.zeros((8, 3))}, "d").step == 0.0
