"""Islands: what computes in float32 and hangs together, quantizers between."""

from __future__ import annotations

import pytest

from edgeopt.models.conversion import FLOAT, INT8, OTHER, Step, summed
from edgeopt.schema.conversion import Conversion

FREE = ("Transpose", "QuantizeLinear", "DequantizeLinear")


def step(op: str, precision: str, ms: float | None, id: str, *after: str) -> Step:
    return Step(op, precision, 0, None if ms is None else ms / 1e3, id, after)


def shares(*steps: Step) -> Conversion:
    return summed("int8", {("Conv", "int8"): 1}, steps, None, FREE, 1)


CHAIN = (
    step("QLinearConv", INT8, 40, "a"),
    step("DequantizeLinear", OTHER, 5, "b", "a"),
    step("Resize", FLOAT, 20, "c", "b"),
    step("Transpose", FLOAT, 5, "d", "c"),
    step("Add", FLOAT, 5, "e", "d"),
    step("QuantizeLinear", FLOAT, 5, "f", "e"),
    step("QLinearConv", INT8, 10, "g", "f"),
    step("Softmax", FLOAT, 10, "h", "x"),
)


def test_what_hangs_together_is_one_island_and_quantizers_part_them() -> None:
    found = shares(*CHAIN)
    assert [dict(i.operators) for i in found.islands] == [{"Resize": 1, "Add": 1}, {"Softmax": 1}]
    assert [i.time for i in found.islands] == pytest.approx([0.30, 0.10])
    assert found.quantizers_time == pytest.approx(0.10)


def test_where_a_time_is_not_known_nothing_is_said_of_islands() -> None:
    found = shares(*CHAIN[:-1], step("Softmax", FLOAT, None, "h"))
    assert found.islands == () and found.quantizers_time is None
    assert found.float_operators == {"Resize": 1, "Add": 1, "Softmax": 1}
