"""Where a graph is quantized, and the frozen form that training leaves its numbers in."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeopt.agent.fakequant import (
    FakeQuantize,
    laid_out,
    one_grid,
    quantized_form,
    scales_of,
)

INPUTS = {"x": {"shape": ["batch", 3, 8, 8], "dtype": "float32"}}


class Net(nn.Module):
    """A convolution with its norm, one without, joined; and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.b, self.head = nn.Conv2d(3, 4, 1), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both = torch.cat([torch.relu(self.norm(self.a(x))), self.b(x)], dim=1)
        return self.head(both.mean((2, 3)))


def test_values_go_to_the_nearest_code_halves_to_even_and_within_the_range() -> None:
    grid = FakeQuantize()
    grid.scale.fill_(0.5)
    grid.zero_point.fill_(10)
    x = torch.tensor([0.2, 0.25, 0.75, 1.0, -5.0, -9.0, 500.0])
    assert grid(x).tolist() == [0.0, 0.0, 1.0, 1.0, -5.0, -5.0, 122.5]
    assert torch.equal(grid(grid(x)), grid(x))


def test_layers_take_their_norms_along_and_floats_are_left() -> None:
    layout = laid_out(Net(), INPUTS, ("b",), joined=False)
    assert [(layer.name, layer.norm is not None, layer.quantized) for layer in layout.layers] == [
        ("a", True, True), ("b", False, False), ("head", False, True),
    ]  # fmt: skip


@pytest.mark.parametrize(("scheme", "joined"), [("int8", True), ("s8s8", False)])
def test_what_is_concatenated_has_one_grid_where_litert_needs_it(scheme: str, joined: bool) -> None:
    assert one_grid(scheme) is joined
    grids = laid_out(Net(), INPUTS, (), joined=joined).grids
    sizes = sorted(len(nodes) for nodes in grids.values())
    assert (sizes[-1] == 3) is joined, "both parts and the whole"


@pytest.mark.parametrize("floats", [[], ["a", "b", "head"]])
def test_the_frozen_form_holds_a_scale_for_each_channel(floats: list[str]) -> None:
    record = {"inputs": INPUTS, "float": floats, "scheme": "s8s8"}
    made = quantized_form(Net().eval(), record)
    shapes = {name: tuple(scale.shape) for name, scale in scales_of(made).items()}
    assert shapes == ({} if floats else {"a": (4,), "b": (4,), "head": (2,)})
    state = made.state_dict()
    assert "a.bias" in state and not any("norm" in name for name in state), "it is folded"
    assert made(torch.zeros(5, 3, 8, 8)).shape == (5, 2) and not made.training
