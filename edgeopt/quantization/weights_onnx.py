"""ONNX graphs whose weights alone are quantized before they run.

``dynamic``: ONNX Runtime's quantizer writes integer operators that find the range of their
activations in each inference. ``weight_only``: codes in front of DequantizeLinear, in operators
that every ONNX runtime has. ``blocked``: MatMulNBits of ONNX Runtime, or DequantizeLinear with
blocks of opset 21.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession, SessionOptions
from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic

from edgeopt.agent.errors import one_line
from edgeopt.formats.onnx import files, portable
from edgeopt.formats.onnx.describe import RECURRENT
from edgeopt.quantization import forms_onnx as forms
from edgeopt.schema.errors import PassError

BLOCKED_OPSET = 21  # the first whose DequantizeLinear knows blocks
DYNAMIC = ("MatMul", "LSTM", "Gather")  # Conv: an integer convolution is slower than a float one
WIDENED = ("GRU", "RNN")  # have no integer operator in ONNX Runtime: their weights are widened
ALPHA = 0.75  # of SmoothQuant; with 0.5 the inputs of MiniLM that are worst stay uneven
LARGEST = 127  # codes are symmetric: -127 to 127
SAID = 300  # characters of an error
WORTH = 1024  # weights; fewer are not worth a scale for each channel
Array = np.ndarray[Any, Any]


def dynamic(
    model: ModelProto,
    workdir: Path,
    *,
    per_channel: bool,
    reduced: bool,
    feeds: Iterable[Mapping[str, Any]] = (),
    least_db: float = 0.0,
    smooth_db: float = 0.0,
) -> tuple[ModelProto, list[str]]:
    """The graph with integer products, and a note for each layer that is left in float32.

    ``reduced`` keeps weights in 7 bits. With ``feeds``, inputs of products with less than
    ``smooth_db`` of signal over the noise of 8 bits are evened out, and products whose inputs then
    have less than ``least_db`` stay as they are. Raises PassError where the quantizer fails.
    """
    forms.products(model)
    spared = {node.name: why for node in model.graph.node if (why := _not_dynamic(node))}
    feeds = list(feeds)
    seen = _inputs_seen(model, feeds)
    rough = {name: each.largest for name, each in seen.items() if each.db < smooth_db}
    if _even_out(model, rough):
        seen = _inputs_seen(model, feeds)
    for name, each in seen.items():
        if each.db < least_db:
            spared[name] = f"outliers leave its input {each.db:.0f} dB over the rounding of 8 bits"
    source, target = workdir / "prepared.onnx", workdir / "dynamic.onnx"
    files.write(model, source)
    try:
        quantize_dynamic(
            str(source),
            str(target),
            op_types_to_quantize=list(DYNAMIC),
            per_channel=per_channel,
            reduce_range=reduced,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(spared),
        )
    except Exception as error:  # ValueErrors, KeyErrors, RuntimeErrors
        raise PassError(f"ONNX Runtime's quantizer failed: {one_line(error, SAID)}") from error
    made = weight_only(files.read_whole(target), per_channel=per_channel, of=WIDENED)
    return made, [f"'{name}' stays in float32: {why}" for name, why in spared.items()]


class _Seen(NamedTuple):
    """Decibels between the variance of a product's input and the rounding of 8 bits over its range,
    the mean of the feeds, of each its own range; and the largest absolute value of each channel.

    Rounding to steps has a variance of step^2 / 12 (Bennett, Bell System Technical Journal 1948).
    """

    db: float
    largest: Array


def _even_out(model: ModelProto, largest: Mapping[str, Array]) -> int:
    """Divide the channels of the inputs of some products by factors, and multiply the rows of their
    matrices by the same; how many inputs there were. Products of one input have the same factors,
    so that it is divided, and quantized, once.

    The factors are largest input ^ ALPHA / largest weight ^ (1 - ALPHA). Source: SmoothQuant (Xiao
    et al., arXiv:2211.10438).
    """
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    uneven: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        if node.name in largest and len(held[node.input[1]].dims) == 2:
            uneven.setdefault(node.input[0], []).append(node)
    known, divided = forms.value_names(model), {}
    for name, products in uneven.items():
        matrices = [numpy_helper.to_array(held[node.input[1]]) for node in products]
        rows = np.max([np.abs(matrix).max(axis=1) for matrix in matrices], axis=0)
        peaks = largest[products[0].name]
        both = (peaks > 0) & (rows > 0)
        peaks, rows = (np.where(both, each, 1.0) for each in (peaks, rows))
        factor = peaks**ALPHA / rows ** (1 - ALPHA)
        divisor, even = (forms.unused(f"{name}_{what}", known) for what in ("divisor", "even"))
        _hold(model, divisor, (1 / factor).astype(matrices[0].dtype))
        divided[products[0].name] = helper.make_node("Mul", [name, divisor], [even], even)
        for node, matrix in zip(products, matrices, strict=True):
            evened = forms.unused(f"{node.input[1]}_evened", known)
            _hold(model, evened, (matrix * factor[:, None]).astype(matrix.dtype))
            node.input[:2] = [even, evened]
    if divided:
        written = [each for node in model.graph.node
                   for each in (divided.get(node.name), node) if each is not None]  # fmt: skip
        del model.graph.node[:]
        model.graph.node.extend(written)
        portable.drop_unused(model)
    return len(divided)


def _hold(model: ModelProto, name: str, values: Array) -> None:
    model.graph.initializer.append(numpy_helper.from_array(values, name))


def _inputs_seen(model: ModelProto, feeds: Sequence[Mapping[str, Any]]) -> dict[str, _Seen]:
    """What the input of each product with a constant matrix held, by node."""
    held = {tensor.name for tensor in model.graph.initializer}
    read = {n.name: n.input[0] for n in model.graph.node
            if n.op_type == "MatMul" and n.input[1] in held and n.input[0] not in held}  # fmt: skip
    if not feeds or not read:
        return {}
    told = ModelProto()
    told.CopyFrom(model)
    ends = [value.name for value in told.graph.output]
    watched = [name for name in dict.fromkeys(read.values()) if name not in ends]
    given = {value.name for value in told.graph.input}
    told.graph.output.extend(
        helper.make_empty_tensor_value_info(name) for name in watched if name not in given
    )
    options = SessionOptions()
    options.log_severity_level = 3
    session = InferenceSession(told.SerializeToString(), options)
    ratios: dict[str, list[float]] = {}
    largest: dict[str, Array] = {}
    for feed in feeds:
        outputs = [value.name for value in told.graph.output]
        values = dict(zip(outputs, session.run(None, dict(feed)), strict=True)) | dict(feed)
        for name in set(read.values()):
            x = np.asarray(values[name], np.float64)
            step = (max(x.max(initial=0.0), 0.0) - min(x.min(initial=0.0), 0.0)) / 255
            noise, signal = step**2 / 12, float((x**2).mean()) if x.size else 0.0
            peaks = np.abs(x).reshape(-1, x.shape[-1]).max(axis=0, initial=0.0)
            largest[name] = np.maximum(largest.get(name, peaks), peaks)
            ratios.setdefault(name, []).append(
                10 * np.log10(signal / noise) if noise and signal else np.inf
            )
    return {node: _Seen(float(np.mean(ratios[n])), largest[n]) for node, n in read.items()}


def _not_dynamic(node: NodeProto) -> str:
    """Why a layer stays as it is; empty for one that may be quantized."""
    if node.op_type == "LSTM" and any(a.name == "layout" and a.i for a in node.attribute):
        return "the quantizer drops the order of its axes"
    return ""


def weight_only(model: ModelProto, *, per_channel: bool, of: Collection[str] = ()) -> ModelProto:
    """The graph with INT8 codes of its weights in front of DequantizeLinear, in all operators with
    weights or those ``of`` these types.

    One scale for each output channel, or for the whole weight. A lookup table has one scale and
    is looked up before it is widened.
    """
    portable.modern(model)
    held = {t.name: t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT}
    known = forms.value_names(model)
    written: list[NodeProto] = []
    made: dict[tuple[str, int | None], list[str]] = {}
    for node in model.graph.node:
        weighing = not of or node.op_type in of
        for place, axis in _weights_of(node, held) if weighing else ():
            name = node.input[place]
            key = (name, axis if per_channel else None)
            fresh = key not in made
            if fresh:
                made[key] = _coded(model, known, held[name], key[1])
            codes, scale, zero = made[key]
            if node.op_type == "Gather":
                looked_up = forms.unused(f"{node.output[0]}_codes", known)
                output = node.output[0]
                node.input[place], node.output[0] = codes, looked_up
                written += [node, _widened([looked_up, scale, zero], output, None)]
                break
            wide = f"{codes}_{'' if axis is None else axis}_wide"
            if fresh:
                known.add(wide)
                written.append(_widened([codes, scale, zero], wide, key[1]))
            node.input[place] = wide
        else:
            written.append(node)
    del model.graph.node[:]
    model.graph.node.extend(written)
    portable.drop_unused(model)
    return model


def _weights_of(node: NodeProto, held: dict[str, TensorProto]) -> Iterator[tuple[int, int | None]]:
    """Places and channel axes of the float weights that are worth codes."""
    weighted, recurrent = node.op_type in forms.WEIGHTED, node.op_type in RECURRENT
    places = (1,) if weighted else (1, 2) if recurrent else (0,) if node.op_type == "Gather" else ()
    for place in places:
        weight = held.get(node.input[place])
        if weight is None or np.prod(weight.dims) < WORTH:
            continue
        stacked = node.op_type == "MatMul" and len(weight.dims) > 2  # several matrices
        yield place, 1 if recurrent else None if stacked else forms.channels(node, place, weight)


def _coded(model: ModelProto, known: set[str], weight: TensorProto, axis: int | None) -> list[str]:
    """Names of a weight's new codes, scales and zero points. Source: ONNX, DequantizeLinear."""
    values: Array = numpy_helper.to_array(weight)
    others = tuple(i for i in range(values.ndim) if i != axis) if axis is not None else None
    largest = np.abs(values).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest / LARGEST, 1.0).astype(values.dtype)
    codes = np.clip(np.round(values / scale), -LARGEST, LARGEST).astype(np.int8)
    scale = scale.reshape(() if axis is None else (-1,))
    made = {"quantized": codes, "scale": scale, "zero_point": np.zeros(scale.shape, np.int8)}
    written = []
    for suffix, array in made.items():
        written.append(forms.unused(f"{weight.name}_{suffix}", known))
        model.graph.initializer.append(numpy_helper.from_array(array, written[-1]))
    return written


def _widened(inputs: list[str], output: str, axis: int | None) -> NodeProto:
    told: dict[str, Any] = {} if axis is None else {"axis": axis}
    return helper.make_node("DequantizeLinear", inputs, [output], f"{output}_widened", **told)


def blocked(
    model: ModelProto, *, bits: int, block: int, symmetric: bool, operators: bool, level: int
) -> ModelProto:
    """The graph with the weights of its products and lookup tables in blocks with a scale each.

    ``operators``: MatMulNBits and GatherBlockQuantized of ONNX Runtime, which compute at
    ``level``, MatMulNBits' accuracy_level; else DequantizeLinear of opset 21. Raises PassError
    where the quantizer fails.
    """
    forms.products(model)
    blocks = _library()
    config = blocks.DefaultWeightOnlyQuantConfig(
        block_size=block,
        is_symmetric=symmetric,
        accuracy_level=level or None,
        quant_format=QuantFormat.QOperator if operators else QuantFormat.QDQ,
        op_types_to_quantize=("MatMul", "Gather") if operators and bits == 4 else ("MatMul",),
        quant_axes=(("MatMul", 0), ("Gather", 1)),
        bits=bits,
    )
    try:
        quantizer = blocks.MatMulNBitsQuantizer(model, algo_config=config)
        quantizer.process()
    except Exception as error:  # ValueErrors, AssertionErrors, its own
        raise PassError(
            f"ONNX Runtime's quantizer of {bits} bits failed: {one_line(error, SAID)}"
        ) from error
    made: ModelProto = quantizer.model.model
    portable.drop_unused(made)
    return made


def _library() -> Any:
    """The quantizer's module, which sets the level of all logging where it is imported."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    import onnxruntime.quantization.matmul_nbits_quantizer as blocks

    root.setLevel(level)
    root.handlers[:] = handlers
    return blocks
