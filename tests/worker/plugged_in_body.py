"""What the pass ``double`` does, in a module of its own that only workers load."""

from __future__ import annotations

from typing import Any

from onnx import numpy_helper

from edgeopt.step import Pass, PassContext


def run(step: Pass, model: Any, ctx: PassContext) -> Any:
    weights = numpy_helper.to_array(model.graph.initializer[0]) * 2
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "w"))
    return model
