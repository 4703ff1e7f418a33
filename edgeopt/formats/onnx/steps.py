"""The quantization steps of a graph's outputs."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, numpy_helper

SAME_VALUES = ("Identity", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze")


def output_steps(model: ModelProto) -> dict[str, float]:
    """The scale by which each output was dequantized, the largest one; others are left out.

    An output whose values only changed their places since then counts as well.
    """
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    steps = {}
    for output in model.graph.output:
        node = makers.get(output.name)
        while node is not None and node.op_type in SAME_VALUES:
            node = makers.get(node.input[0])
        if node is not None and node.op_type == "DequantizeLinear" and node.input[1] in held:
            scale = numpy_helper.to_array(held[node.input[1]])
            steps[output.name] = float(np.abs(scale).max(initial=0.0))
    return {name: step for name, step in steps.items() if step > 0}
