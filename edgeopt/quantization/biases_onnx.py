"""INT8 ONNX in which biases leave room for the sum beside them.

ONNX Runtime's quantizer enlarges a weight's scale until its bias fits into 32 bits, to the last
one. Its kernels add the products to that in 32 bits, which wrap around.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from edgeopt.quantization.biases import Array, least_scales

USERS = ("Conv", "ConvTranspose", "Gemm")
LARGEST = 127  # code of a weight


class _Layer(NamedTuple):
    """The initializers of one layer: codes and scales of its weight and its bias."""

    weight: TensorProto
    weight_scale: TensorProto
    axis: int  # of output channels
    bias: TensorProto
    bias_scale: TensorProto


def make_room(model: ModelProto, floats: Mapping[str, Array]) -> int:
    """Enlarge weight scales where a bias has more steps than it may; gives how many scales.

    ``floats`` holds the weights as they were, by name. Layers that share a weight share its scale.
    """
    factors: dict[str, Array] = {}  # weight -> what its scales grow by
    layers = list(_layers(model))
    for layer in layers:
        scale, bias_scale, bias = (
            numpy_helper.to_array(t).astype(np.float64).reshape(-1)
            for t in (layer.weight_scale, layer.bias_scale, layer.bias)
        )
        input_scale = float((bias_scale / scale).max())
        if not input_scale:
            continue
        least = least_scales(bias * bias_scale, input_scale)
        least = least if len(scale) > 1 else least.max(keepdims=True)
        factor = np.maximum(least / scale, 1.0)
        name = layer.weight.name
        factors[name] = np.maximum(factors.get(name, factor), factor)
    small = {name: factor for name, factor in factors.items() if (factor > 1).any()}
    for layer in {one.weight.name: one for one in layers if one.weight.name in small}.values():
        _widen_weight(layer, small[layer.weight.name], floats)
    for layer in layers:
        if layer.weight.name in small:
            _widen_bias(layer, small[layer.weight.name])
    return sum(int((factor > 1).sum()) for factor in small.values())


def _layers(model: ModelProto) -> Iterator[_Layer]:
    """Layers with an int8 weight, one scale or one for each channel, and an int32 bias."""
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {n.output[0]: n for n in model.graph.node if n.op_type == "DequantizeLinear"}
    for node in model.graph.node:
        pair = [makers.get(name) for name in node.input[1:3]]
        if node.op_type not in USERS or len(pair) < 2 or None in pair:
            continue
        weight, bias = (maker for maker in pair if maker is not None)
        given = [held.get(name) for maker in (weight, bias) for name in maker.input[:2]]
        codes, scale, bias_codes, bias_scale = given
        if codes is None or scale is None or bias_codes is None or bias_scale is None:
            continue
        counts = {len(numpy_helper.to_array(t).reshape(-1)) for t in (scale, bias_scale)}
        fits = counts == {1} or counts == {bias_codes.dims[0]}
        if fits and (codes.data_type, bias_codes.data_type) == (
            TensorProto.INT8,
            TensorProto.INT32,
        ):
            yield _Layer(codes, scale, _axis(weight, len(codes.dims)), bias_codes, bias_scale)


def _axis(node: NodeProto, rank: int) -> int:
    return next((a.i for a in node.attribute if a.name == "axis"), 1) % rank


def _widen_weight(layer: _Layer, factor: Array, floats: Mapping[str, Array]) -> None:
    codes = numpy_helper.to_array(layer.weight)
    shape = [1] * codes.ndim
    if len(factor) > 1:
        shape[layer.axis] = len(factor)
    before = numpy_helper.to_array(layer.weight_scale).astype(np.float64)
    wide = before.reshape(-1) * factor
    known = floats.get(layer.weight.name.removesuffix("_quantized"))
    values = codes * before.reshape(shape) if known is None else known.astype(np.float64)
    wider_codes = np.clip(np.round(values / wide.reshape(shape)), -LARGEST, LARGEST)
    wider_codes = np.where(factor.reshape(shape) > 1, wider_codes, codes)
    _write(layer.weight, wider_codes)
    _write(layer.weight_scale, wide.reshape(before.shape))


def _widen_bias(layer: _Layer, factor: Array) -> None:
    codes = numpy_helper.to_array(layer.bias).astype(np.float64)
    scale = numpy_helper.to_array(layer.bias_scale).astype(np.float64)
    _write(layer.bias, np.round(codes / factor))
    _write(layer.bias_scale, (scale.reshape(-1) * factor).reshape(scale.shape))


def _write(tensor: TensorProto, values: Array) -> None:
    dtype, name = numpy_helper.to_array(tensor).dtype, tensor.name
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values.astype(dtype)), name))
