"""A module's graph with the operators replaced that litert-torch refuses or converts wrongly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from edgeopt.formats.torch.replacements import REPLACEMENTS, SELECTING

Tensor = torch.Tensor


def convertible(module: nn.Module, example: Mapping[str, Tensor]) -> nn.Module:
    """The module itself, or its graph with other operators where some cannot stay.

    ``module`` takes tensors by name and gives a tuple of tensors. Raises what torch.export
    raises.
    """
    with torch.no_grad():
        program = torch.export.export(module, (), dict(example), strict=False)
        graph_module = program.module()
        for node in list(graph_module.graph.nodes):
            if node.op == "call_module":  # guards of the example's shapes
                graph_module.graph.erase_node(node)
        graph_module.recompile()
        replaced = Replaced(graph_module, list(example))
        replaced(**example)
    return replaced if replaced.count else module


class Replaced(nn.Module):
    """Runs a graph, each operator that has a replacement by that; ``count`` of the last run."""

    def __init__(self, graph_module: torch.fx.GraphModule, names: Sequence[str]) -> None:
        super().__init__()
        self.graph_module, self.names, self.count = graph_module, tuple(names), 0
        self.training = False

    def forward(self, **inputs: Tensor) -> tuple[Tensor, ...]:
        run = _Replacing(self.graph_module)
        given = [inputs[name] for name in self.names]
        outputs = run.run(*given, enable_io_processing=False)
        self.count = run.count
        return tuple(outputs)


class _Replacing(torch.fx.Interpreter):
    def __init__(self, graph_module: torch.fx.GraphModule) -> None:
        super().__init__(graph_module)
        self.count = 0
        self._node: Any = None

    def run_node(self, n: Any) -> Any:
        self._node = n
        return super().run_node(n)

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        result = None
        if target in SELECTING:
            result = SELECTING[target](_read(self._node), *args, **kwargs)
        elif target in REPLACEMENTS:
            result = REPLACEMENTS[target](*args, **kwargs)
        if result is not None:
            self.count += 1
            return result
        return super().call_function(target, args, kwargs)


def _read(node: Any) -> set[int]:
    """Which of an operator's results something reads."""
    return {int(user.args[1]) for user in node.users if user.users}
