"""INT8 weights that no 16-bit sum of two products can overflow.

Without VNNI, x86 kernels multiply unsigned activations by signed weights with ``vpmaddubsw``: it
adds two neighbouring products into 16 bits and saturates. The largest activation is 255, so a
pair of neighbouring weights is safe where |w0 + w1| <= 128: 255 * 128 < 2**15. Neighbours are
pairs along the sum that the kernel runs over: for a convolution (kh, kw, channel), for a matrix
product its rows. CPUs with VNNI add in 32 bits and answer otherwise on one and the same file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

Array = np.ndarray[Any, Any]
LARGEST_PAIR = 128
USERS = ("Conv", "MatMul", "Gemm")


class Weight(NamedTuple):
    """A quantized weight: its codes by output channel along the kernel's sum, and its scales."""

    name: str  # of the codes' initializer, NAME_quantized
    scale: str
    axis: int  # of output channels
    user: NodeProto
    codes: Array  # (channels, sum)


def risky_channels(model: ModelProto) -> dict[str, int]:
    """Weights with channels in which a pair may overflow, and how many such channels."""
    found = {w.name: int((_largest_pairs(w.codes) > LARGEST_PAIR).sum()) for w in weights(model)}
    return {name: count for name, count in found.items() if count}


def make_safe(model: ModelProto, floats: Mapping[str, Array]) -> int:
    """Enlarge the weight scale of each channel that may overflow; gives how many there were.

    ``floats`` holds the weights as they were, by name. Biases are brought to the new scales.
    """
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    count = 0
    for weight in weights(model):
        scales = numpy_helper.to_array(held[weight.scale]).astype(np.float64)
        pairs = _largest_pairs(weight.codes)
        risky = pairs > LARGEST_PAIR
        if not risky.any():
            continue
        count += int(risky.sum())
        values = _real(weight, floats, scales)
        factor = np.where(risky, pairs / LARGEST_PAIR, 1.0)
        codes = weight.codes
        while risky.any():  # rounding may push a pair up by one
            factor = np.where(risky, factor * 1.002, factor)
            codes = np.clip(np.round(values / (scales * factor)[:, None]), -127, 127)
            codes = np.where((factor > 1.0)[:, None], codes, weight.codes)
            risky = _largest_pairs(codes) > LARGEST_PAIR
        _write(held[weight.name], _laid_back(codes, held[weight.name], weight))
        _write(held[weight.scale], scales * factor)
        _rescale_bias(model, held, weight.user, factor)
    return count


def weights(model: ModelProto) -> Iterator[Weight]:
    """int8 weights with a scale for each output channel, of operators that have such kernels."""
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    users = {node.input[1]: node for node in model.graph.node
             if node.op_type in USERS and len(node.input) > 1}  # fmt: skip
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or node.output[0] not in users:
            continue
        codes, scale = held.get(node.input[0]), held.get(node.input[1])
        if codes is None or scale is None or codes.data_type != TensorProto.INT8:
            continue
        array = numpy_helper.to_array(codes)
        if array.ndim < 2 or tuple(scale.dims) == ():
            continue
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1) % array.ndim
        user = users[node.output[0]]
        laid = _laid_out(array.astype(np.int64), axis, user)
        yield Weight(node.input[0], node.input[1], axis, user, laid)


def _largest_pairs(codes: Array) -> Array:
    """The largest |w0 + w1| of neighbouring pairs in each channel, (channels,)."""
    if codes.shape[1] % 2:
        codes = np.pad(codes, ((0, 0), (0, 1)))
    pairs: Array = np.abs(codes.reshape(len(codes), -1, 2).sum(axis=2)).max(axis=1, initial=0)
    return pairs


def _laid_out(array: Array, axis: int, user: NodeProto) -> Array:
    """(channels, sum) in the order in which the kernel sums."""
    first = np.moveaxis(array, axis, 0)
    if user.op_type == "Conv":
        first = np.moveaxis(first, 1, -1)  # (channels, kh, kw, c)
    return np.ascontiguousarray(first.reshape(len(first), -1))


def _laid_back(codes: Array, tensor: TensorProto, weight: Weight) -> Array:
    dims = list(tensor.dims)
    shape = [dims[weight.axis], *(n for i, n in enumerate(dims) if i != weight.axis)]
    if weight.user.op_type == "Conv":
        whole = np.moveaxis(codes.reshape(shape[0], *shape[2:], shape[1]), -1, 1)
    else:
        whole = codes.reshape(shape)
    return np.moveaxis(whole, 0, weight.axis)


def _real(weight: Weight, floats: Mapping[str, Array], scales: Array) -> Array:
    """The weights before they were quantized; else what their codes stand for."""
    known = floats.get(weight.name.removesuffix("_quantized"))
    if known is None:
        return weight.codes * scales[:, None]
    return _laid_out(known.astype(np.float64), weight.axis, weight.user)


def _rescale_bias(
    model: ModelProto, held: Mapping[str, TensorProto], user: NodeProto, factor: Array
) -> None:
    """A quantized bias counts in steps of input scale times weight scale."""
    if len(user.input) < 3:
        return
    maker = next((n for n in model.graph.node if n.output[0] == user.input[2]), None)
    if maker is None or maker.op_type != "DequantizeLinear":
        return
    codes, scale = held.get(maker.input[0]), held.get(maker.input[1])
    if codes is None or scale is None:  # it is computed, and has a range of its own
        return
    _write(codes, np.round(numpy_helper.to_array(codes).astype(np.float64) / factor))
    _write(scale, numpy_helper.to_array(scale).astype(np.float64) * factor)


def _write(tensor: TensorProto, values: Array) -> None:
    dtype = numpy_helper.to_array(tensor).dtype
    name = tensor.name
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values.astype(dtype)), name))
