"""INT8 TFLite in which no bias clips: ai-edge-quantizer's, with wider weights where needed."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from edgeopt.formats.tflite import files
from edgeopt.formats.tflite.describe import WEIGHTS
from edgeopt.formats.tflite.inspect import BIASED
from edgeopt.quantization.biases import Array, least_scales
from edgeopt.quantization.ranges_tflite import Ranges

LARGEST = 127  # code of a weight
CHANNELS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}  # axis


def quantized(configured: Callable[[bytes], Any], model: bytes, ranges: Ranges | None) -> bytes:
    """The INT8 file of a float one by a recipe and, where that needs some, ranges.

    ``configured`` gives ai-edge-quantizer's ``Quantizer`` of a file with its recipe. It takes a
    weight's scale from the weight alone, and a bias beyond 32 bits of steps becomes the most
    negative code, whatever its sign. So the file is looked at, and where that has happened made
    anew with wider ranges for those weights. Raises what the quantizer raises.
    """
    content = _made(configured(model), ranges)
    if ranges is None:  # float biases
        return content
    roomier, wider = widened(model, content)
    return _made(configured(roomier), {**ranges, **wider}) if wider else content


def _made(quantizer: Any, ranges: Ranges | None) -> bytes:
    result = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)


def widened(model: bytes, int8: bytes) -> tuple[bytes, Ranges]:
    """Ranges for those weights of an INT8 file whose scales let a bias overflow.

    Each holds ``min`` and ``max`` by channel, in the weight's rank, or of the whole tensor, as
    the file's scales are. They are for the float file that comes with them: ``model``, in which
    such a layer no longer shares its weight with others.
    """
    before, after = (files.unpack(content, "the model") for content in (model, int8))
    graph, ranges = before.subgraphs[0], {}
    users = Counter(graph.tensors[int(i)].buffer for op in graph.operators for i in op.inputs)
    parted = False
    for (name, op), (_, int8_op) in zip(_weighted(before), _weighted(after), strict=True):
        scales, input_scale = _scales(after, name, int8_op)
        bias, weight = _bias(model, before, name, op), graph.tensors[op.inputs[1]]
        if scales is None or bias is None or not files.constant(before, weight):
            continue
        needed = least_scales(bias, input_scale)
        needed = needed if len(scales) > 1 else needed.max(keepdims=True)
        if (needed <= scales).all():
            continue
        if users[weight.buffer] > 1:
            users[weight.buffer] -= 1
            weight = _own(before, op)
            parted = True
        shape = [1] * len(weight.shape)
        shape[CHANNELS[name]] = len(scales)
        bounds = (np.maximum(scales, needed) * LARGEST).astype(np.float32).reshape(shape)
        ranges[files.text(weight.name)] = {"min": -bounds, "max": bounds}
    return (files.pack(before) if parted else model), ranges


def _own(model: Any, op: Any) -> Any:
    """A layer's weight with a buffer for this layer alone, and a tensor of its own if need be."""
    graph, index = model.subgraphs[0], int(op.inputs[1])
    weight = graph.tensors[index]
    if sum(index in (int(i) for i in other.inputs) for other in graph.operators) > 1:
        weight = copy.copy(weight)
        weight.name = f"{files.text(weight.name)}/{len(graph.tensors)}".encode()
        graph.tensors.append(weight)
        last = len(graph.tensors) - 1
        op.inputs = [last if place == 1 else int(i) for place, i in enumerate(op.inputs)]
    model.buffers.append(copy.copy(model.buffers[weight.buffer]))
    weight.buffer = len(model.buffers) - 1
    return weight


def _weighted(model: Any) -> Iterator[tuple[str, Any]]:
    return ((name, op) for name, op in files.operators(model) if name in CHANNELS)


def _scales(model: Any, name: str, op: Any) -> tuple[Array | None, float]:
    """(scales of the weight, scale of the data) of an operator; no scales where one is float."""
    tensors = model.subgraphs[0].tensors
    weight, data = (tensors[int(op.inputs[position])].quantization for position in WEIGHTS[name])
    if weight is None or weight.scale is None or data is None or data.scale is None:
        return None, 0.0
    return np.asarray(weight.scale, np.float64), float(data.scale[0])


def _bias(content: bytes, model: Any, name: str, op: Any) -> Array | None:
    """A float model's bias that the file holds, (channels,)."""
    position = BIASED[name]
    if len(op.inputs) <= position or op.inputs[position] < 0:
        return None
    tensor = model.subgraphs[0].tensors[int(op.inputs[position])]
    if not files.constant(model, tensor):
        return None
    buffer = model.buffers[tensor.buffer]
    held = content[buffer.offset : buffer.offset + buffer.size]  # behind the flatbuffer, or empty
    data = held if buffer.data is None or not len(buffer.data) else bytes(buffer.data)
    return np.frombuffer(data, np.float32)
