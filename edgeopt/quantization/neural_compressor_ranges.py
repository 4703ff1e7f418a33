"""Ranges as neural-compressor finds them on its PyTorch 2 export road, read out of its graph.

Its own ONNX export keeps float weights, so only what it has found is taken: the scale and zero
point of each tensor (arguments of nodes), the scales of weights by output channel (buffers).
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from neural_compressor.torch.export import export
from neural_compressor.torch.quantization import StaticQuantConfig, convert, prepare
from torch import nn

from edgeopt.agent import fakequant
from edgeopt.agent.errors import one_line
from edgeopt.quantization.found import Found, Grid
from edgeopt.schema.errors import PassError

MOST_SAID = 300
EXAMPLES = 2  # samples that the network is traced with: one alone would fix the batch


def ranges_found(
    module: nn.Module, batches: Sequence[Mapping[str, torch.Tensor]], method: str
) -> Found:
    """Calibrate a copy of a module on batches by input, in the order of its parameters.

    ``method`` is how ranges of activations are found: ``minmax`` (a moving average of each batch's
    extremes) or ``kl`` (histograms). Raises PassError where neural-compressor fails.
    """
    logging.getLogger("neural_compressor").setLevel(logging.ERROR)
    first = tuple(tensor[:EXAMPLES] for tensor in batches[0].values())
    free = tuple({0: torch.export.Dim("batch", min=EXAMPLES)} for _ in first)
    try:
        exported = export(copy.deepcopy(module), first, dynamic_shapes=free)
        prepared = prepare(exported, StaticQuantConfig(act_algo=method))
        with torch.no_grad():
            for batch in batches:
                prepared(*batch.values())
        converted = convert(prepared)
    except Exception as error:  # it raises RuntimeErrors, AssertionErrors and torch's own
        said = one_line(error, MOST_SAID)
        raise PassError(
            f"neural-compressor cannot calibrate the module: {said}",
            hint="leave out 'engine' to quantize after the export",
        ) from error
    return _read(converted)


def _read(graph_module: Any) -> Found:
    """What stands before each layer in a converted graph."""
    data: dict[str, Grid] = {}
    weights: dict[str, torch.Tensor] = {}
    for node in graph_module.graph.nodes:
        if node.target not in fakequant.WEIGHTED or len(node.args) < 2:
            continue
        given, weight = _dequantized(node.args[0]), _dequantized(node.args[1])
        if weight is None or weight.args[0].args[0].op != "get_attr":
            continue
        name = str(weight.args[0].args[0].target).removesuffix(".weight")
        weights[name] = _held(graph_module, weight.args[1]).float().reshape(-1)
        if given is not None:
            data[name] = Grid(float(given.args[1]), int(given.args[2]))
    return Found(data, weights)


def _dequantized(node: Any) -> Any:
    """The node, if it dequantizes what another quantizes."""
    found = "dequantize_per" in str(getattr(node, "target", ""))
    return node if found and isinstance(node.args[0], torch.fx.Node) else None


def _held(graph_module: Any, node: Any) -> torch.Tensor:
    """The value of an attribute's node."""
    value: Any = graph_module
    for part in str(node.target).split("."):
        value = getattr(value, part)
    tensor: torch.Tensor = value.detach()
    return tensor
