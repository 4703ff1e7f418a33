"""The frozen module as ONNX is to hold it: codes, scales, QuantizeLinear, DequantizeLinear."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from edgeopt.agent import fakequant, traced
from edgeopt.agent.fakequant import FakeQuantize

OFFSETS = {"uint8": 0, "int8": 128}  # of a grid's codes, by the type that a file holds


def qdq_form(frozen: Any, activation: str) -> nn.Module:
    """A module that torch's exporter turns into quantizers with the very numbers of training.

    ``activation`` is the type of activations, ``uint8`` or ``int8``. Each call of a grid is a
    pair of QuantizeLinear and DequantizeLinear; weights are int8 codes, biases int32 codes.
    """
    graph = copy.deepcopy(frozen.graph)
    graph.owning_module = None
    scales = fakequant.scales_of(frozen)
    held: dict[str, Any] = {}
    for node in list(graph.nodes):
        if node.op == "call_module":
            grid = traced.attribute(frozen, node.target)
            held[node.target] = _Pair(grid, activation)
        if node.target in fakequant.WEIGHTED and node.args[1].op == "get_attr":
            name = node.args[1].target.removesuffix(".weight")
            grid = fakequant.input_grid(frozen, node)
            if name in scales and grid is not None:
                _codes(graph, frozen, node, scales[name], grid, held)
    traced.drop_unused(graph)
    for node in graph.nodes:
        if node.op == "get_attr":
            held[node.target] = traced.attribute(frozen, node.target)
    return torch.fx.GraphModule(held, graph).eval()


def _codes(
    graph: Any,
    frozen: Any,
    node: Any,
    scale: torch.Tensor,
    grid: FakeQuantize,
    held: dict[str, Any],
) -> None:
    """Put dequantized codes in the place of one layer's weight and bias."""
    name = node.args[1].target.removesuffix(".weight")
    weight = traced.attribute(frozen, node.args[1].target).detach()
    codes = weight_codes(weight, scale)
    matrix = node.target is fakequant.aten.linear.default and len(node.meta["val"].shape) != 2
    given = [
        (f"{name}.weight", _Codes(codes.T.contiguous() if matrix else codes, scale, int(matrix)))
    ]
    bias = fakequant.bias_of(node)
    if bias is not None and not matrix:
        step = bias_step(scale, grid)
        values = traced.attribute(frozen, bias.target).detach()
        given.append((f"{name}.bias", _Codes(bias_codes(values, step), step.float(), 0)))
    calls = []
    with graph.inserting_before(node):
        for target, module in given:
            held[target + "_codes"] = module
            calls.append(graph.call_module(target + "_codes"))
    if not matrix:
        node.args = (node.args[0], *calls, *node.args[1 + len(calls) :])
        return
    with graph.inserting_before(node):
        output = graph.call_function(torch.matmul, (node.args[0], calls[0]))
        output = graph.call_function(torch.add, (output, bias)) if bias is not None else output
    node.replace_all_uses_with(output)
    graph.erase_node(node)


def weight_codes(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """int8 codes of a weight that lies on its grid."""
    wide = scale.reshape(-1, *(1 for _ in weight.shape[1:]))
    return torch.round(weight / wide).to(torch.int8)


def bias_step(scale: torch.Tensor, grid: FakeQuantize) -> torch.Tensor:
    """What one step of a bias stands for: input scale times weight scale, float64."""
    return scale.double() * grid.scale.double()


def bias_codes(bias: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """int32 codes of a bias."""
    return torch.round(bias.double() / step).clamp(-(2**31) + 1, 2**31 - 1).to(torch.int32)


class _Pair(nn.Module):
    scale: torch.Tensor
    zero_point: torch.Tensor

    def __init__(self, grid: FakeQuantize, activation: str) -> None:
        super().__init__()
        dtype = getattr(torch, activation)
        self.register_buffer("scale", grid.scale.detach().clone())
        self.register_buffer("zero_point", (grid.zero_point - OFFSETS[activation]).to(dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        given = (self.scale, self.zero_point)
        codes = torch.onnx.ops.symbolic(
            "QuantizeLinear", (x, *given), dtype=self.zero_point.dtype, shape=x.shape
        )
        return torch.onnx.ops.symbolic(
            "DequantizeLinear", (codes, *given), dtype=torch.float32, shape=x.shape
        )


class _Codes(nn.Module):
    codes: torch.Tensor
    scale: torch.Tensor
    zero_point: torch.Tensor

    def __init__(self, codes: torch.Tensor, scale: torch.Tensor, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale.detach().clone())
        self.register_buffer("zero_point", torch.zeros(len(scale), dtype=codes.dtype))

    def forward(self) -> torch.Tensor:
        return torch.onnx.ops.symbolic(
            "DequantizeLinear",
            (self.codes, self.scale, self.zero_point),
            {"axis": self.axis},
            dtype=torch.float32,
            shape=self.codes.shape,
        )
