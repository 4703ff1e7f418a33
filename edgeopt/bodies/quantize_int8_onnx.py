"""Static INT8 quantization of ONNX, by ONNX Runtime's own quantizer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization.shape_inference import quant_pre_process

from edgeopt.agent.errors import one_line
from edgeopt.formats.onnx import files, portable, saturation
from edgeopt.formats.onnx.conversion import FREE, unquantized
from edgeopt.formats.onnx.describe import nodes
from edgeopt.formats.onnx.format import FORMAT
from edgeopt.passes.quantize_int8_onnx import OUTLIER_DB, SHORT_SUM, SMOOTH_DB, QuantizeInt8
from edgeopt.quantization import forms_onnx as forms
from edgeopt.quantization import weights_onnx
from edgeopt.quantization.biases_onnx import make_room
from edgeopt.quantization.calibration import batches, tell_if_few
from edgeopt.quantization.nncf_onnx import by_nncf
from edgeopt.quantization.ranges_onnx import Ranges, ranges_found
from edgeopt.quantization.static_onnx import Quantizing, in_float
from edgeopt.schema.errors import DataError, PassError
from edgeopt.schemes import OF_WEIGHTS, SCHEMES
from edgeopt.step import PassContext

OPSET = 13  # the first whose quantizers have a scale for each channel
LOOKED_AT = 16  # samples that show whether an input has outliers
COMPARED = 4  # samples on which a converted model must answer as before


def run(step: QuantizeInt8, model: Any, ctx: PassContext) -> Any:
    """Prepare the graph, calibrate, quantize. Raises PassError where no weight is."""
    if step.scheme == "auto":
        raise PassError("'auto' stands for the schemes of a target and cannot run itself")
    before = onnx.ModelProto()
    before.CopyFrom(model)
    portable.modern(model)
    quantize = _weights if step.scheme in OF_WEIGHTS else _static
    quantize = _by_nncf if step.engine == "nncf" else quantize
    return portable.finished(quantize(step, model, ctx), before)


def _by_nncf(step: QuantizeInt8, model: Any, ctx: PassContext) -> Any:
    """In an opset that has scales by channel: below, NNCF gives one for each tensor."""
    quantized = by_nncf(step, _lifted(model, ctx, step.name), ctx)
    if why := unquantized(quantized, []):
        raise PassError(f"NNCF quantized no operator with weights: {why}")
    return quantized


def _weights(step: QuantizeInt8, model: Any, ctx: PassContext) -> Any:
    """Weights alone; activations as the graph runs, or not at all."""
    model = portable.at_least_opset(model, OPSET, step.name)
    model = _prepared(model, ctx.workdir)
    forms.name_nodes(model)
    batch = ctx.description.signature.batch or 1
    if step.scheme == "weight-only":
        quantized = weights_onnx.weight_only(model, per_channel=step.per_channel)
    else:
        quantized, left = weights_onnx.dynamic(
            model,
            ctx.workdir,
            per_channel=step.per_channel,
            reduced=OF_WEIGHTS[step.scheme].reduce_range,
            feeds=batches(ctx, max(LOOKED_AT, batch)) if step.float_outliers or step.smooth else (),
            least_db=OUTLIER_DB if step.float_outliers else 0.0,
            smooth_db=SMOOTH_DB if step.smooth else 0.0,
        )
        if told := [f"{step.name}: {each}" for each in left]:
            ctx.found["notes"] = told
    why = unquantized(quantized, [])
    if step.scheme == "weight-only":
        if why:
            raise PassError(f"no weight is worth codes: {why}")
        return quantized
    as_it_runs = any(n.op_type.startswith("DynamicQuantize") for n in nodes(quantized))
    if why or not as_it_runs:
        raise PassError(
            "ONNX Runtime has no operator that quantizes activations of this network as it runs"
            + (f": {why}" if why else ""),
            hint="a static scheme, or 'weight-only', may quantize what 'dynamic' leaves",
        )
    return quantized


def _static(step: QuantizeInt8, model: Any, ctx: PassContext) -> Any:
    """Weights, and activations by ranges found in calibration."""
    model = _prepared(_lifted(model, ctx, step.name), ctx.workdir)
    forms.name_nodes(model)
    forms.plain_gemms(model)
    whole = forms.one_axis_each(model, per_channel=step.per_channel)
    excluded = stem(model) if step.float_stem else []
    floats = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    spared = [*excluded, *forms.read_in_bodies(model)]
    quantized, left = Quantizing(
        step, ctx, model, spared, whole, _ranges(step, model, ctx)
    ).quantized()
    forms.put_in_order(quantized)
    bodies = _bodies(model)
    told = [f"{step.name} leaves {what} in float32" for what in bodies]
    if told := [*told, *in_float(step.name, model, left)]:
        ctx.found["notes"] = told
    if step.calibration == "minmax":
        tell_if_few(step.name, ctx, step.samples)
    make_room(quantized, floats)
    if SCHEMES[step.scheme].saturation_safe:
        saturation.make_safe(quantized, floats)
    if why := unquantized(quantized, excluded):
        raise PassError(
            f"no operator with weights could be quantized: {why}",
            hint=(
                "say 'float_stem: false' to quantize it too"
                if excluded
                else "; ".join(f"{what} stay in float32" for what in bodies)
            ),
        )
    return quantized


def _ranges(step: QuantizeInt8, model: Any, ctx: PassContext) -> Ranges:
    """Of activations."""
    file = ctx.workdir / "ranged.onnx"
    files.write(model, file)
    try:
        return ranges_found(file, batches(ctx, step.samples), step.calibration, ctx.workdir)
    except (DataError, PassError):
        raise
    except Exception as error:  # ValueErrors, its runtime's own
        raise PassError(f"ONNX Runtime's calibration failed: {one_line(error, 300)}") from error


def _bodies(model: Any) -> list[str]:
    """The bodies that compute, and the operators in them: the quantizer does not enter them."""
    told = []
    for node in model.graph.node:
        inner = [op.op_type for graph in files.graphs_of(node) for op in graph.node]
        computing = [op for op in dict.fromkeys(inner) if op not in FREE]
        if computing:
            told.append(f"the bodies of {node.op_type} '{node.name}' ({', '.join(computing)})")
    return told


def _lifted(model: Any, ctx: PassContext, why: str) -> Any:
    """The model in the oldest opset with scales by channel, once it is seen to answer the same.

    Raises PassError where ONNX's converter cannot or changes the answers.
    """
    lifted = portable.at_least_opset(model, OPSET, why)
    if lifted is model:
        return model
    runners = []
    for name, each in (("as-given", model), ("lifted", lifted)):
        (ctx.workdir / name).mkdir()
        FORMAT.save(each, ctx.workdir / name)
        runners.append(FORMAT.runner(ctx.workdir / name, fused=False))
    for feeds in batches(ctx, max(COMPARED, ctx.description.signature.batch or 1)):
        before, after = (run(feeds) for run in runners)
        for name, values in before.items():
            most = 1e-5 + 1e-4 * float(np.abs(values).max(initial=0.0))
            if not np.allclose(after[name], values, rtol=0.0, atol=most, equal_nan=True):
                raise PassError(
                    f"{why} needs opset {OPSET}, and ONNX's converter changes the answers of this "
                    f"model: output '{name}'",
                    hint=f"Export the model again at opset {OPSET} or later.",
                )
    return lifted


def _prepared(model: Any, workdir: Path) -> Any:
    """ONNX Runtime's own preparation: shapes inferred, constants folded, norms fused.

    Its symbolic shape inference takes longer than calibration, and does not know every operator:
    it comes second, where ONNX's own leaves a dimension open.
    """
    source, target = workdir / "source.onnx", workdir / "preprocessed.onnx"
    files.write(model, source)
    made, failure = None, None
    for skip_symbolic_shape in (True, False):
        try:
            quant_pre_process(str(source), str(target), skip_symbolic_shape=skip_symbolic_shape)
            made = files.read_whole(target)
        except Exception as error:
            failure = error
        if made is not None and shaped(made):
            return made
    if made is None:
        raise PassError(f"ONNX Runtime cannot prepare the model: {failure}") from failure
    return made


def shaped(model: Any) -> bool:
    """Whether every tensor that a node of the graph makes has a type, and dimensions with a length
    or a name."""
    graph = model.graph
    known = {
        value.name
        for value in (*graph.value_info, *graph.output)
        if value.type.HasField("tensor_type")
        and value.type.tensor_type.elem_type
        and value.type.tensor_type.HasField("shape")
        and all(dim.WhichOneof("value") for dim in value.type.tensor_type.shape.dim)
    }
    return all(name in known for node in graph.node for name in node.output if name)


def stem(model: Any) -> list[str]:
    """Names of the first convolutions with short sums, and of the nodes before them."""
    graph = model.graph
    dims = {tensor.name: tensor.dims for tensor in graph.initializer}
    makers: dict[str, Any] = {}  # tensor -> its node, as long as no weights were met
    before = {value.name for value in graph.input}
    names: dict[str, None] = {}
    for node in graph.node:
        fresh = [name for name in node.input if name in before]
        if node.op_type not in forms.WEIGHTED:
            if fresh:
                before.update(node.output)
                makers.update(dict.fromkeys(node.output, node))
            continue
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        short = math.prod(dims.get(node.input[1], (SHORT_SUM,))[1:]) < SHORT_SUM
        if node.op_type == "Conv" and node.input[0] in before and groups == 1 and short:
            pending = [node.input[0]]
            names[node.name] = None
            while pending:
                maker = makers.get(pending.pop())
                if maker is not None and maker.name not in names:
                    names[maker.name] = None
                    pending += maker.input
    return list(names)
