"""Replacements of operators against torch's own, over many shapes; no converter is needed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgeopt.formats.torch.convertible import Replaced, convertible
from edgeopt.formats.torch.replacements.convolutions import transposed_conv
from edgeopt.formats.torch.replacements.resizes import nearest2d

Forward = Callable[[torch.Tensor], Any]
GENERATOR = torch.Generator().manual_seed(0)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR)


class Net(nn.Module):
    """A network of one function or layer."""

    def __init__(self, forward: Forward | nn.Module) -> None:
        super().__init__()
        self.function = forward

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        made = self.function(x)
        return made if isinstance(made, tuple) else (made,)


def replaced(net: nn.Module, x: torch.Tensor, targets: set[str] | None = None) -> nn.Module:
    """What is converted in the place of a network; it answers the same, and traces again."""
    made = convertible(net.eval(), {"x": x})
    with torch.no_grad():
        for mine, theirs in zip(made(x=x), net(x=x), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    if targets is not None:
        with torch.no_grad():
            graph = torch.export.export(made, (), {"x": x}).graph
        found = {str(node.target) for node in graph.nodes}
        assert not targets & found, found
    return made


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_transposed_convolutions_are_cut_to_size_or_run_over_zeros(axes: int) -> None:
    run = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)
    x = normal(2, 4, *(5, 4, 3)[:axes])
    for k, s, p, e, d, g in itertools.product((2, 3), (2, 3), (0, 1), (0, 1), (1, 2), (1, 2, 4)):
        weight, bias = normal(4, 4 // g, *[k] * axes), normal(4) if p != e else None
        said = ([s] * axes, [p] * axes, [e] * axes, g, [d] * axes)
        made = transposed_conv(x, weight, bias, *said)
        if (g, d, e) == (1, 1, 0) and (p == 0 or k - 2 * p == s) and axes < 3:
            assert made is None  # TFLite has an operator for these
            continue
        want = run[axes - 1](x, weight, bias, *said)
        torch.testing.assert_close(made, want, rtol=1e-4, atol=1e-5)


def test_sides_of_a_transposed_convolution_may_differ() -> None:
    layer = nn.ConvTranspose2d(3, 4, (3, 2), (2, 1), (1, 0))
    assert isinstance(replaced(Net(layer), normal(1, 3, 5, 6)), Replaced)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(("size", "dilation"), [(3, 1), (4, 1), (3, 2), (4, 3), (1, 1)])
def test_the_word_same_becomes_numbers(size: int, dilation: int) -> None:
    layer = nn.Conv1d(4, 6, size, padding="same", dilation=dilation)
    made = replaced(Net(layer), normal(2, 4, 9), {"aten.conv1d.padding"})
    assert isinstance(made, Replaced)


def test_nearest_pixels_are_those_that_torch_takes() -> None:
    vec = torch.ops.aten.upsample_nearest2d.vec
    for size, new in itertools.product(range(1, 12), range(1, 30)):
        x = torch.arange(size * 2.0).reshape(1, 1, size, 2)
        made = nearest2d(x, [new, 3], None)
        assert made is not None and torch.equal(made, vec(x, [new, 3], None))
    for size, factor in itertools.product(range(4, 9), (0.3, 0.5, 1.1, 1.3, 1.5, 2.3, 2.999, 3.3)):
        x = torch.arange(size * 4.0).reshape(1, 1, size, 4)
        made = nearest2d(x, None, [factor, 1.25])
        assert made is not None and torch.equal(made, vec(x, None, [factor, 1.25]))


@pytest.mark.parametrize("factor", [0.5, 1.5, 1.3, 3.3])
def test_a_fractional_resize_picks_rows_and_columns(factor: float) -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(x, scale_factor=factor)

    made = replaced(Net(forward), normal(1, 2, 6, 8), {"aten.upsample_nearest2d.vec"})
    assert isinstance(made, Replaced)


def test_a_whole_resize_stays() -> None:
    net = Net(lambda x: functional.interpolate(x, scale_factor=2))
    assert replaced(net, normal(1, 2, 6, 8)) is net


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("xcij,bkji->xck", [(6, 3, 5, 4)]),
        ("xcij,jid", [(5, 4, 7)]),
        ("xcij,jid,dk->xk", [(5, 4, 7), (7, 3)]),
        ("xcij,cxjd->xcid", [(3, 2, 5, 6)]),
        ("xcij,dji->xd", [(7, 5, 4)]),
    ],
)
def test_shared_axes_come_in_one_order(equation: str, shapes: list[tuple[int, ...]]) -> None:
    others = [normal(*shape) for shape in shapes]
    net = Net(lambda x: torch.einsum(equation, x, *others))
    made = replaced(net, normal(2, 3, 4, 5))
    graph = torch.export.export(made, (), {"x": normal(2, 3, 4, 5)}).graph
    for node in graph.nodes:
        if node.target is torch.ops.aten.einsum.default:
            first, second = node.args[0].partition("->")[0].split(",")
            assert [x for x in first if x in second] == [x for x in second if x in first]
    assert isinstance(made, Replaced)


def test_an_einsum_in_one_order_stays() -> None:
    net = Net(lambda x: torch.einsum("bhij,bhjd->bhid", x, x))
    assert replaced(net, normal(2, 3, 4, 4)) is net


SELECTIONS: dict[str, Forward] = {
    "topk": lambda x: x.topk(3, 1)[0],
    "smallest": lambda x: tuple(x.topk(3, largest=False)),
    "sort": lambda x: tuple(x.sort(-1)),
    "descending": lambda x: x.sort(1, descending=True)[0],
    "stable": lambda x: x.sort(dim=-1, stable=True)[1],
    "argsort": lambda x: x.argsort(-1),
    "msort": torch.msort,
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_entries_are_picked_by_their_places(name: str) -> None:
    targets = {
        "aten.sort.default",
        "aten.sort.stable",
        "aten.argsort.default",
        "aten.msort.default",
    }
    net = Net(SELECTIONS[name])
    assert isinstance(replaced(net, normal(2, 5, 7), targets), Replaced)


def test_the_largest_entries_stay_where_their_places_are_read() -> None:
    net = Net(lambda x: tuple(x.topk(3)))
    assert replaced(net, normal(2, 7)) is net
