from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgeopt.pruning.groups import Group, Slice
from edgeopt.pruning.masked import OtherOutputError, failure, gap, masked, outputs
from edgeopt.pruning.prunable import find_prunable, prunable
from edgeopt.pruning.surgery import edits_of, pruned

IMAGE = {"image": torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(0))}


class Two(nn.Module):
    """A convolution of 8 channels with a norm, and one that reads them."""

    def __init__(self, affine: bool = True) -> None:
        super().__init__()
        self.a, self.norm = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8, affine=affine)
        self.b = nn.Conv2d(8, 4, 3)

    def read(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.b(x)).mean(dim=(2, 3))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.read(self.norm(self.a(image)))


class Shuffled(Two):
    """Reads its channels the other way round, which the graph takes for no change."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.read(self.norm(self.a(image)).flip(1))


def made(kind: type[Two], **given: bool) -> Two:
    torch.manual_seed(0)
    module = kind(**given).eval()
    module.norm.running_mean.copy_(torch.randn(8))
    module.norm.running_var.copy_(torch.rand(8) + 0.5)
    return module


def group(backwards: bool = False, affine: bool = True) -> Group:
    rows = tuple((i,) for i in range(8))
    norm = [Slice("norm", "weight", 0, rows, "scale"), Slice("norm", "bias", 0, rows, "shift")]
    state = [Slice("norm", name, 0, rows, "state") for name in ("running_mean", "running_var")]
    slices = (
        Slice("a", "weight", 0, rows, "out"),
        Slice("a", "bias", 0, rows, "shift"),
        *(norm if affine else []),
        *state,
        Slice("b", "weight", 1, rows[::-1] if backwards else rows, "in"),
    )
    return Group("a", "channel", 8, 1, slices)


@pytest.mark.parametrize("affine", [True, False])
def test_a_masked_channel_is_zero_behind_its_norm(affine: bool) -> None:
    module = made(Two, affine=affine)
    zeros = masked(module, [group(affine=affine)], {"a": (1, 2, 5)})
    behind = outputs(nn.Sequential(zeros.a, zeros.norm), {"input": IMAGE["image"]})
    (values,) = behind.values()
    gone = [0, 3, 4, 6, 7]
    assert not values[:, gone].any() and values[:, [1, 2, 5]].abs().sum((0, 2, 3)).all()
    assert (zeros.norm.running_var[gone] == 1).all() and not zeros.norm.running_mean[gone].any()
    assert module.a.weight[gone].abs().sum((1, 2, 3)).all(), "the module itself stays"


def test_a_group_that_keeps_everything_masks_nothing() -> None:
    module = made(Two)
    same = masked(module, [group()], {})
    assert all(torch.equal(v, module.state_dict()[n]) for n, v in same.state_dict().items())


def test_a_pruned_module_agrees_with_the_masked_one() -> None:
    module, kept = made(Two), {"a": (0, 3)}
    smaller = pruned(module, edits_of(module, [group()], kept))
    told = gap(module, smaller, [group()], kept, IMAGE)
    assert told.agrees and told.largest > 0.1
    assert smaller.a.out_channels == 2


def test_a_wrong_mapping_is_found_by_the_masked_module() -> None:
    module = made(Shuffled)
    assert "differs from the network with zeros" in failure(module, group(), IMAGE)
    assert failure(module, group(backwards=True), IMAGE) == ""
    told = {layer.path: layer for layer in prunable(module, IMAGE)}
    assert not told["a"].prunable


def test_what_changes_an_output_s_shape_is_named() -> None:
    module = made(Two)
    rows = tuple((i,) for i in range(4))
    answer = Group("b", "channel", 4, 1, (Slice("b", "weight", 0, rows, "out"),
                                          Slice("b", "bias", 0, rows, "shift")))  # fmt: skip
    assert failure(module, answer, IMAGE) == "its channels are the network's output 'output'"
    with pytest.raises(OtherOutputError, match="output"):
        kept = {"b": (0, 1)}
        gap(module, pruned(module, edits_of(module, [answer], kept)), [answer], kept, IMAGE)


def test_a_network_that_cannot_run_without_some_says_why() -> None:
    unread = Group("a", "channel", 8, 1, group().slices[:-1])
    said = failure(made(Two), unread, IMAGE)
    assert said.startswith("without some of its channels the network cannot run: ")
    assert "expected input" in said and "\n" not in said


def test_a_single_unit_cannot_go() -> None:
    alone = Group("a", "head", 1, 1, ())
    assert failure(made(Two), alone, IMAGE) == "it has a single head"


def test_a_reading_that_ignores_zeros_differs() -> None:
    """Guards against layers whose norm has figures of all channels together."""

    class Whole(Two):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            x = self.norm(self.a(image))
            return self.read(x - x.mean(dim=1, keepdim=True))

    assert "differs from the network with zeros" in failure(made(Whole), group(), IMAGE)


def test_not_a_number_never_agrees_and_equal_infinities_do() -> None:
    class Answers(nn.Module):
        def __init__(self, *values: float) -> None:
            super().__init__()
            self.register_buffer("values", torch.tensor(values))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.values.expand(len(x), -1)

    feeds, inf, nan = {"x": torch.zeros(1, 1)}, float("inf"), float("nan")

    def told(left: tuple[float, ...], right: tuple[float, ...]) -> bool:
        return gap(Answers(*left), Answers(*right), [], {}, feeds).agrees

    assert told((inf, 1.0), (inf, 1.0))
    assert not told((inf, 1.0), (1.0, 1.0))
    assert not told((1.0, 1.0), (nan, 1.0))
    assert told((1e4,), (1e4 + 0.9,)) and not told((1e4,), (1e4 + 1.2,))


def test_outputs_are_those_of_evaluation_and_training_goes_on() -> None:
    module = made(Two).train()
    before = module.norm.running_mean.clone()
    first = outputs(module, IMAGE)
    assert module.training and torch.equal(module.norm.running_mean, before)
    assert all(torch.equal(values, first[name]) for name, values in outputs(module, IMAGE).items())


def test_groups_that_are_found_all_hold() -> None:
    module = made(Two)
    (only,) = find_prunable(module, IMAGE).groups
    assert only.name == "a" and failure(module, only, IMAGE, seed=3) == ""
