"""Nodes that float16 harms are found on a graph before it is converted, and by name."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from half_graphs import CANCELS, FEEDS, OVERFLOWS, SHARP, TINY, graph, node

from edgeopt.quantization.half_onnx import harmed


@pytest.mark.parametrize(
    ("model", "kept", "why"),
    [
        (OVERFLOWS, {"mul", "abs", "div"}, "float16 ends at 65,504"),
        (SHARP, {"product", "add", "softmax"}, "inputs are rounded"),
        (CANCELS, {"product", "add", "reducemean", "sub"}, "inputs are rounded"),
        (TINY, {"pow", "add", "sqrt"}, "less than float16 tells from 0"),
        (graph(node("Relu", ["p"], "y")), set(), ""),
    ],
)
def test_what_float16_harms_is_named_with_the_reason(
    model: onnx.ModelProto, kept: set[str], why: str, tmp_path: Path
) -> None:
    found = harmed(model, FEEDS, tmp_path)
    assert {each.node for each in found} == kept
    assert not kept or any(why in str(each) for each in found)


def test_constants_alone_are_looked_at_where_there_are_no_samples(tmp_path: Path) -> None:
    assert {each.node for each in harmed(TINY, (), tmp_path)} == {"add", "sqrt"}
    assert not harmed(CANCELS, (), tmp_path)
