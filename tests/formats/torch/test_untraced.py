"""What is behind an exporter's error, of real exports."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeopt.formats.torch.untraced import batch_hint, layer_of, named_line, root_cause


class Fixed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(2, 4) * 1.0


class Branches(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.sum() > 0 else x - 1


def failure(net: nn.Module) -> BaseException:
    batch = {"x": {0: torch.export.Dim("batch", min=1)}}
    with pytest.raises(Exception) as caught:
        torch.export.export(net, (), {"x": torch.zeros(2, 4)}, dynamic_shapes=batch)
    return caught.value


def test_a_fixed_batch_is_told_and_nothing_else() -> None:
    assert "x.shape[0]" in batch_hint(root_cause(failure(Fixed())))
    assert batch_hint(root_cause(failure(Branches()))) == ""


def test_the_root_is_what_all_was_raised_from() -> None:
    first, second, third = ValueError("a"), KeyError("b"), RuntimeError("c")
    third.__cause__, second.__cause__ = second, first
    assert root_cause(third) is first is root_cause(first)


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 4), Branches())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoder(x)


def test_the_layer_that_cannot_be_traced_is_named() -> None:
    net = Outer()
    assert layer_of(failure(net), net) == "'encoder.1'"
    wrapped = nn.ModuleDict({"inner": net})
    assert layer_of(failure(net), wrapped, "inner.") == "'encoder.1'"
    assert layer_of(ValueError("elsewhere"), net) == ""


def test_a_line_of_code_is_traced_back_to_its_layer() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Softplus())
    graph = torch.export.export(net, (torch.zeros(2, 4),)).graph
    (node,) = [n for n in graph.nodes if "softplus" in str(n.target)]
    file, _, rest = node.meta["stack_trace"].rpartition('File "')[2].partition('", line ')
    message = f"passes failed: {file}:{rest.partition(',')[0]}:0: error: failed to legalize"
    assert named_line(ValueError(message), graph.nodes) == "'1' (aten.softplus)"
    assert named_line(ValueError("no line"), graph.nodes) == ""
