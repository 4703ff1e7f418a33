"""INT8 TFLite with trained ranges: the converter's float model, quantized with given numbers.

The converter says nothing of which tensor came from where. So each tensor that lies on a grid
is an output while it converts, which tells its place; afterwards the model has its own outputs
again. ai-edge-quantizer changes the types; scales, zero points and codes are then set to the
trained ones.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ai_edge_quantizer import qtyping, quantizer
from ai_edge_quantizer.algorithm_manager import AlgorithmName

from edgeopt.agent import fakequant, traced
from edgeopt.formats.tflite import files
from edgeopt.quantization.qdq import bias_codes
from edgeopt.schema.errors import PassError

SAME_GRID = ("TRANSPOSE", "RESHAPE", "PAD", "MAX_POOL_2D", "AVERAGE_POOL_2D", "CONCATENATION",
             "SQUEEZE", "EXPAND_DIMS", "STRIDED_SLICE", "SLICE")  # fmt: skip
WEIGHTED = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}  # axis of channels
INTEGER = {*SAME_GRID, *WEIGHTED, "ADD", "MEAN", "SUM"}
OFF_GRID = 1e-2  # of a step: a weight farther from its grid was changed by the converter


@dataclass(frozen=True)
class Grid:
    """Scale and zero point of a tensor, codes -128 to 127."""

    scale: float
    zero_point: int

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return (-128 - self.zero_point) * self.scale, (127 - self.zero_point) * self.scale


@dataclass(frozen=True)
class Point:
    """A tensor on a grid: which, and the layer whose result it is, if it is one's."""

    grid: str
    layer: str


def marked(frozen: Any) -> tuple[torch.nn.Module, list[Point]]:
    """A float module that gives its outputs and then, as further outputs, each point's tensor."""
    graph = copy.deepcopy(frozen.graph)
    graph.owning_module = None
    outputs = next(node for node in graph.nodes if node.op == "output")
    layers = _layer_of(graph, fakequant.scales_of(frozen))
    points, extra = [], []
    for node in [node for node in graph.nodes if node.op == "call_module"]:
        source = node.args[0]
        points.append(Point(str(node.target), layers.get(source, "")))
        node.replace_all_uses_with(source)
        graph.erase_node(node)
        extra.append(source)
    with graph.inserting_before(outputs):
        extra = [_channels_last(graph, source) for source in extra]
    outputs.args = ((*outputs.args[0], *extra),)
    graph.set_codegen(torch.fx.graph.CodeGen())
    held = {n.target: traced.attribute(frozen, n.target) for n in graph.nodes
            if n.op == "get_attr"}  # fmt: skip
    return torch.fx.GraphModule(held, graph).eval(), points


def _layer_of(graph: Any, scales: Mapping[str, Any]) -> dict[Any, str]:
    layers = {}
    for node in graph.nodes:
        if node.target in fakequant.WEIGHTED and node.args[1].op == "get_attr":
            name = node.args[1].target.removesuffix(".weight")
            if name in scales:
                layers[fakequant.fused(node)] = name
    return layers


def _channels_last(graph: Any, node: Any) -> Any:
    """A tensor as the converter computes it: what it transposes for an output stays in the way.

    It runs convolutions over one axis as ones over two.
    """
    rank = len(node.meta["val"].shape)
    if rank == 3 and any(n.target in fakequant.OVER_ONE_AXIS for n in graph.nodes):
        node, rank = graph.call_function(torch.ops.aten.unsqueeze.default, (node, 2)), 4
    if rank != 4:
        return node
    return graph.call_function(torch.ops.aten.permute.default, (node, [0, 2, 3, 1]))


def quantized(
    content: bytes, outputs: Sequence[str], points: Sequence[Point], frozen: Any
) -> bytes:
    """The INT8 model of a converted ``marked`` module with these outputs of its own.

    Raises PassError where a number of the file would not be the trained one.
    """
    model = files.unpack(content, "the converted model")
    places = [int(index) for index in model.subgraphs[0].outputs][len(outputs) :]
    grids = {f: _grid(frozen, f) for f in {point.grid for point in points}}
    known = {place: grids[point.grid] for place, point in zip(places, points, strict=True)}
    _spread(model, known)
    _check_joined(model, known)
    layers = {p: x.layer for p, x in zip(places, points, strict=True) if x.layer}
    weights = _weights(model, frozen, layers)
    _unmark(model, outputs)
    tensors = model.subgraphs[0].tensors
    typed = _typed(files.pack(model), model, known)
    by_name = {files.text(tensors[i].name): grid for i, grid in known.items()}
    return _numbered(typed, by_name, weights)


def _grid(frozen: Any, name: str) -> Grid:
    module = traced.attribute(frozen, name)
    return Grid(float(module.scale), int(module.zero_point) - 128)


def _unmark(model: Any, outputs: Sequence[str]) -> None:
    """Take out the marking outputs and what nothing reads then."""
    graph = model.subgraphs[0]
    graph.outputs = [int(index) for index in graph.outputs][: len(outputs)]
    for signature in model.signatureDefs or []:
        known = {int(tensor.tensorIndex): tensor for tensor in signature.outputs}
        signature.outputs = [copy.copy(known[index]) for index in graph.outputs]
        for tensor, name in zip(signature.outputs, outputs, strict=True):
            tensor.name = name.encode()
    while True:
        read = {int(i) for op in graph.operators for i in op.inputs} | set(graph.outputs)
        kept_ops = [op for op in graph.operators if read & {int(i) for i in op.outputs}]
        if len(kept_ops) == len(graph.operators):
            return
        graph.operators = kept_ops


def _flowing(model: Any, op: Any) -> list[int]:
    """The float tensors that an operator reads and that the file does not hold."""
    tensors, float32 = model.subgraphs[0].tensors, files.schema().TensorType.FLOAT32
    return [
        int(i) for i in op.inputs
        if i >= 0 and tensors[i].type == float32 and not files.constant(model, tensors[i])
    ]  # fmt: skip


def _spread(model: Any, known: dict[int, Grid]) -> None:
    """Give a grid to tensors that operators without arithmetic make of, or into, others."""
    before = -1
    while before != len(known):
        before = len(known)
        for name, op in files.operators(model):
            ends = [*_flowing(model, op), *(int(i) for i in op.outputs)]
            grid = next((known[i] for i in ends if i in known), None)
            if name in SAME_GRID and grid is not None:
                for index in ends:
                    known.setdefault(index, grid)


def _check_joined(model: Any, known: Mapping[int, Grid]) -> None:
    """Raise PassError where an operator that keeps codes joins several grids."""
    for name, op in files.operators(model):
        ends = [*_flowing(model, op), *(int(i) for i in op.outputs)]
        if name in SAME_GRID and len({known[i] for i in ends if i in known}) > 1:
            raise PassError(
                f"{name} joins tensors of several ranges, which LiteRT's INT8 does not support",
                hint="Train with 'scheme: int8' for LiteRT; where it was, LiteRT's form of this "
                "network has the operator between tensors that ONNX leaves apart: export to ONNX.",
            )


def _weights(model: Any, frozen: Any, layers: Mapping[int, str]) -> dict[str, tuple[Any, ...]]:
    """(codes, scales) by the name of each weight and bias. Raises PassError off the grid."""
    tensors = model.subgraphs[0].tensors
    makers = {int(i): (name, op) for name, op in files.operators(model) for i in op.outputs}
    scales = fakequant.scales_of(frozen)
    weights: dict[str, tuple[Any, ...]] = {}
    for place, layer in layers.items():
        name, op = makers[place]
        while name in SAME_GRID:
            name, op = makers[int(op.inputs[0])]
        if name not in WEIGHTED:
            raise PassError(
                f"the converter made {name} of the layer '{layer}'",
                hint="LiteRT's INT8 has layers without activation, and with ReLU or ReLU6.",
            )
        weight, axis, scale = tensors[op.inputs[1]], WEIGHTED[name], scales[layer].numpy()
        values = _values(model, weight)
        shape = [-1 if i == axis else 1 for i in range(values.ndim)]
        steps = values / scale.reshape(shape)
        codes = np.round(steps)
        if np.abs(steps - codes).max(initial=0) > OFF_GRID or np.abs(codes).max(initial=0) > 127:
            raise PassError(f"the converter changed the weight of the layer '{layer}'")
        weights[files.text(weight.name)] = (codes.astype(np.int8), scale)
        if len(op.inputs) > 2 and op.inputs[2] >= 0:
            bias = tensors[op.inputs[2]]
            step = torch.from_numpy(scale.astype(np.float64)) * _input_scale(frozen, layer)
            given = bias_codes(torch.from_numpy(_values(model, bias)), step).numpy()
            weights[files.text(bias.name)] = (given, step.numpy().astype(np.float32))
    return weights


def _input_scale(frozen: Any, layer: str) -> float:
    for node in frozen.graph.nodes:
        if node.target in fakequant.WEIGHTED and node.args[1].target == f"{layer}.weight":
            grid = fakequant.input_grid(frozen, node)
            if grid is not None:
                return float(grid.scale)
    raise PassError(f"the data of the layer '{layer}' is not on a quantization grid")


def _values(model: Any, tensor: Any) -> Any:
    data = np.array(model.buffers[tensor.buffer].data, np.uint8)
    return data.view(np.float32).reshape([int(n) for n in tensor.shape])


def _typed(content: bytes, model: Any, known: Mapping[int, Grid]) -> Any:
    """The model with the types that ai-edge-quantizer gives: int8 where all ends have a grid."""
    names, tensors = qtyping.TFLOperationName, model.subgraphs[0].tensors
    edge_quantizer = quantizer.Quantizer(content)
    edge_quantizer.add_static_config(
        ".*", names.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8,
        weight_granularity=qtyping.QuantGranularity.CHANNELWISE,
    )  # fmt: skip
    floats = [(name, ".*") for name in (names.INPUT, names.OUTPUT)]
    for name, op in files.operators(model):
        ends = [*_flowing(model, op), *(int(i) for i in op.outputs)]
        if (name not in INTEGER or not all(i in known for i in ends)) and hasattr(names, name):
            scope = re.escape(files.text(tensors[int(op.outputs[0])].name))
            floats.append((names[name], scope))
    for kind, scope in floats:
        edge_quantizer.update_quantization_recipe(
            scope, kind, algorithm_key=AlgorithmName.NO_QUANTIZE
        )
    ranges = {}
    for index, tensor in enumerate(tensors):
        if not files.constant(model, tensor):
            limits = known[index].ends if index in known else (-1.0, 1.0)
            low, high = (np.full([1] * len(tensor.shape), end, np.float32) for end in limits)
            ranges[files.text(tensor.name)] = {"min": low, "max": high}
    try:
        result = edge_quantizer.quantize(
            ranges, enable_progress_bar=False, enable_progress_report=False
        )
    except Exception as error:  # the quantizer raises ValueErrors, KeyErrors, RuntimeErrors
        raise PassError(f"ai-edge-quantizer failed: {type(error).__name__}: {error}") from error
    return _whole(bytes(result.quantized_model))


def _whole(content: bytes) -> Any:
    """The model's objects, with the buffers that lie behind the flatbuffer in their places."""
    model = files.unpack(content, "the quantized model")
    for buffer in model.buffers:
        if buffer.offset and buffer.size:
            data = content[buffer.offset : buffer.offset + buffer.size]
            buffer.data = np.frombuffer(data, np.uint8)
        buffer.offset = buffer.size = 0
    return model


def _read_codes(model: Any) -> None:
    """Let integer operators read codes where the quantizer has them read an output's values."""
    tensors, int8 = model.subgraphs[0].tensors, files.schema().TensorType.INT8
    codes = {int(op.outputs[0]): int(op.inputs[0]) for name, op in files.operators(model)
             if name == "DEQUANTIZE"}  # fmt: skip
    for name, op in files.operators(model):
        if name in INTEGER and all(tensors[int(i)].type == int8 for i in op.outputs):
            op.inputs = [codes.get(int(i), int(i)) for i in op.inputs]


def _numbered(
    model: Any, grids: Mapping[str, Grid], weights: Mapping[str, tuple[Any, ...]]
) -> bytes:
    """The model with the trained numbers in the place of the quantizer's.

    Raises PassError where an integer tensor has no trained numbers.
    """
    tensors, types = model.subgraphs[0].tensors, files.schema().TensorType
    _read_codes(model)
    names = [files.text(tensor.name) for tensor in tensors]
    real: dict[int, Grid] = {i: grids[name] for i, name in enumerate(names) if name in grids}
    for name, op in files.operators(model):
        if name in ("QUANTIZE", "DEQUANTIZE") and len(op.inputs) == 1:
            ends = (int(op.inputs[0]), int(op.outputs[0]))
            for one, other in (ends, ends[::-1]):
                if one in real:
                    real.setdefault(other, real[one])
    for index, tensor in enumerate(tensors):
        quantization = tensor.quantization
        if names[index] in weights and quantization is not None and quantization.scale is not None:
            codes, scale = weights[names[index]]
            tensor.quantization.scale = np.asarray(scale, np.float32)
            model.buffers[tensor.buffer].data = np.frombuffer(codes.tobytes(), np.uint8)
        elif tensor.type == types.INT8:
            if index not in real:
                raise PassError(f"no trained range for the tensor '{names[index]}'")
            quantization.scale = np.array([real[index].scale], np.float32)
            quantization.zeroPoint = np.array([real[index].zero_point], np.int64)
    return files.pack(model)
