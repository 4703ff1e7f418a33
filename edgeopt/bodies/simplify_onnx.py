"""Fold constants and fuse what can be fused, by onnxsim."""

from __future__ import annotations

from collections import Counter
from typing import Any

import onnx
import onnxsim
from onnx import helper, numpy_helper

from edgeopt.formats.onnx import portable
from edgeopt.passes.simplify_onnx import SimplifyOnnx
from edgeopt.schema.errors import PassError
from edgeopt.step import PassContext


def run(step: SimplifyOnnx, model: Any, ctx: PassContext) -> Any:
    """``onnxsim.simplify``, its own verdict checked, inputs and outputs kept."""
    before = onnx.ModelProto()
    before.CopyFrom(model)
    portable.modern(model)
    try:
        simplified, sound = onnxsim.simplify(model)
    except Exception as error:  # onnxsim passes on whatever its C++ core throws
        raise PassError(f"onnxsim failed: {str(error).strip()}") from error
    if not sound:
        raise PassError("onnxsim says that its own result is not sound")
    ctx.progress(1, 2)
    simplified = onnx.shape_inference.infer_shapes(simplified)
    pool_means(simplified)
    halve_last(simplified)
    return portable.finished(simplified, before)


def halve_last(model: Any) -> int:
    """Write a GELU x * (0.5 * (1 + erf(x / c))) as (x * (1 + erf(x / c))) * 0.5; returns how many.

    PyTorch exports the first form, and ONNX Runtime 1.32 has one kernel for the second alone.
    Source: Hendrycks and Gimpel, arXiv:1606.08415.
    """
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    halves = {t.name for t in graph.initializer if _is_half(t)}
    read = Counter(name for node in graph.node for name in node.input)
    read.update(value.name for value in graph.output)

    def made(name: str, op: str) -> Any:
        """The node that makes a value for one reader, if it is of that type."""
        node = makers.get(name)
        return node if node is not None and node.op_type == op and read[name] == 1 else None

    count = 0
    for node in graph.node:
        for x, halved in (node.input, reversed(node.input)) if node.op_type == "Mul" else ():
            half = made(halved, "Mul")
            factor = next((each for each in half.input if each in halves), "") if half else ""
            total = next((each for each in half.input if each != factor), "") if factor else ""
            plus = made(total, "Add")
            erf = (
                next(filter(None, (made(each, "Erf") for each in plus.input)), None)
                if plus
                else None
            )
            scaled = makers.get(erf.input[0]) if erf else None
            if scaled is not None and x in scaled.input:
                half.input[:], node.input[:] = [x, total], [halved, factor]
                count += 1
                break
    return count


def _is_half(tensor: Any) -> bool:
    return not tensor.dims and float(numpy_helper.to_array(tensor)) == 0.5


def pool_means(model: Any) -> int:
    """Write ReduceMean over the two last axes of a rank-4 tensor as GlobalAveragePool.

    Returns how many. Without ``keepdims`` a Flatten follows: (n, c, 1, 1) -> (n, c).
    """
    graph = model.graph
    ranks = {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*graph.value_info, *graph.input)
    }
    held = {tensor.name: tensor for tensor in graph.initializer}
    nodes, count = [], 0
    for node in graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        axes = attributes.get("axes")
        if node.op_type == "ReduceMean" and len(node.input) > 1 and node.input[1] in held:
            axes = numpy_helper.to_array(held[node.input[1]]).tolist()
        spatial = axes is not None and sorted(axis % 4 for axis in axes) == [2, 3]
        if node.op_type != "ReduceMean" or not spatial or ranks.get(node.input[0]) != 4:
            nodes.append(node)
            continue
        count += 1
        result = node.output[0]
        pooled = result if attributes.get("keepdims", 1) else f"{result}_pooled"
        nodes.append(
            helper.make_node("GlobalAveragePool", [node.input[0]], [pooled], name=node.name)
        )
        if pooled != result:
            flat = f"{node.name}_flat" if node.name else ""
            nodes.append(helper.make_node("Flatten", [pooled], [result], name=flat, axis=1))
    if count:
        del graph.node[:]
        graph.node.extend(nodes)
        portable.drop_unused(model)
    return count
