"""The torch network of a shipped float ONNX file, in which batch norms are folded.

What a batch norm multiplies by is in no ONNX file, and decides nothing there. In TFLite it does
where the converter folds no norm (convolutions over one axis): the convolution's own result is
rounded, too. There the factor is found in the INT8 file beside it: a weight's scale there is its
channel's largest value over 127, before the norm.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
import torch_pruning_bare
from onnx import numpy_helper
from torch import nn

from edgeopt.formats.tflite import files

Array = np.ndarray
LARGEST = 127
HALF = 0.501  # steps from a weight to its code
NORMS = {"0": "1", "conv1": "bn1", "conv2": "bn2"}  # a convolution's name, its batch norm's


class Weight(NamedTuple):
    """Weights of a convolution over one axis: codes (out, in, kernel), scales (out)."""

    codes: Array
    scales: Array


def rebuilt(models: Path, float_onnx: Path, int8_tflite: Path) -> nn.Module:
    """The network, with the modules of `net.py` and the widths of the file, to infer with.

    Raises ValueError where the two files are not of one network.
    """
    module = torch_pruning_bare.source(models)
    graph = onnx.load(float_onnx).graph
    held = {
        each.name.removeprefix("inner."): numpy_helper.to_array(each) for each in graph.initializer
    }
    order = [n.input[1] for n in graph.node if n.op_type == "Conv"]
    names = [each.removeprefix("inner.").removesuffix(".weight") for each in order]
    flat: dict[str, Weight] = {}
    if held[order[0].removeprefix("inner.")].ndim == 3:
        flat = dict(zip(names, over_one_axis(int8_tflite.read_bytes()), strict=True))
    for name, layer in list(module.named_modules()):
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            weight = held[f"{name}.weight"]
            if weight.ndim == 3:
                weight, factor = unfolded(weight, flat[name], f"{name} of {int8_tflite}")
            else:  # whose norm the converter folds again
                factor = np.ones(len(weight), np.float32)
            set_convolution(layer, weight)
            parent, _, own = name.rpartition(".")
            norm = module.get_submodule(f"{parent}.{NORMS[own]}")
            none = np.zeros(len(weight), np.float32)
            set_norm(norm, factor, held[f"{name}.weight_bias"], none, none + 1, eps=0.0)
        elif name == "norm":
            keys = ("weight", "bias", "running_mean", "running_var")
            set_norm(layer, *(held[f"norm.{key}"] for key in keys), eps=layer.eps)
    module.head.weight = nn.Parameter(tensor(held["head.weight"]))
    module.head.bias = nn.Parameter(tensor(held["head.bias"]))
    module.head.in_features = module.head.weight.shape[1]
    return module.eval()


def over_one_axis(content: bytes) -> list[Weight]:
    """Weights of the convolutions of an INT8 file in order, as far as they are over one axis."""
    model, names = files.unpack(content, "the INT8 file"), files.schema().BuiltinOperator
    graph, found = model.subgraphs[0], []
    for op in graph.operators:
        code = model.operatorCodes[op.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) != names.CONV_2D:
            continue
        each = graph.tensors[op.inputs[1]]
        if each.shape[1] == 1:
            data = bytes(model.buffers[each.buffer].data)
            codes = np.frombuffer(data, np.int8).reshape(each.shape)
            scales = np.asarray(each.quantization.scale, np.float32)
            found.append(Weight(codes[:, 0].transpose(0, 2, 1), scales))
    return found


def unfolded(weight: Array, int8: Weight, where: str) -> tuple[Array, Array]:
    """Weights (out, in, kernel) as before the norm, and what the norm multiplies by (out).

    Raises ValueError where their codes are others than those of the INT8 file.
    """
    if weight.shape != int8.codes.shape:
        raise ValueError(f"{where} has shape {int8.codes.shape}, not {weight.shape}")
    folded = weight.astype(np.float64)
    sign = np.where((folded * int8.codes).sum((1, 2)) < 0, -1.0, 1.0)
    factor = sign * np.abs(folded).max((1, 2)) / (LARGEST * int8.scales.astype(np.float64))
    steps = int8.scales[:, None, None].astype(np.float64)
    plain = np.where(
        factor[:, None, None] == 0,
        int8.codes * steps,
        folded / np.where(factor == 0, 1, factor)[:, None, None],
    )
    apart = np.abs(plain / steps - int8.codes).max()
    if apart > HALF:
        raise ValueError(
            f"{where}: codes are up to {apart:.2f} steps from the float file's weights"
        )
    return plain.astype(np.float32), factor.astype(np.float32)


def set_convolution(layer: Any, weight: Array) -> None:
    """Other weights (out, in, kernel ...) of other widths."""
    layer.weight = nn.Parameter(tensor(weight))
    layer.out_channels, layer.in_channels = weight.shape[:2]


def set_norm(norm: Any, weight: Array, bias: Array, mean: Array, var: Array, eps: float) -> None:
    """A batch norm of other numbers, each (channels)."""
    norm.weight, norm.bias = nn.Parameter(tensor(weight)), nn.Parameter(tensor(bias))
    norm.running_mean, norm.running_var = tensor(mean), tensor(var)
    norm.num_features, norm.eps = len(weight), eps


def tensor(array: Array) -> torch.Tensor:
    """A copy as a tensor."""
    return torch.from_numpy(np.array(array))
