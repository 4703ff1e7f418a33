"""Groups as the dependency graph tells them, before any of them has been tried."""

from __future__ import annotations

from collections.abc import Callable

import pruned_nets
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from edgeopt.pruning.graph import channel_groups
from edgeopt.pruning.groups import Group, LeftAlone, Slice
from edgeopt.schema.errors import PassError

FEEDS = {"image": torch.zeros(1, 1, 6, 6)}


class Net(nn.Module):
    """A stem of 4 channels, something, a head, and a mean over the image."""

    def __init__(self, between: nn.Module, head: nn.Module | None = None) -> None:
        super().__init__()
        self.stem, self.between = nn.Conv2d(1, 4, 3), between
        self.head = head or nn.Conv2d(4, 3, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.between(self.stem(image))).mean(dim=(2, 3))


class Called(nn.Module):
    """A function of the stem's channels, with parameters where it needs any."""

    def __init__(self, function: Callable[..., torch.Tensor], *shape: int) -> None:
        super().__init__()
        self.function = function
        self.own = nn.Parameter(torch.ones(shape)) if shape else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x) if self.own is None else self.function(x, self.own)


def groups(module: nn.Module, **feeds: torch.Tensor) -> dict[str, Group | LeftAlone]:
    return {each.name: each for each in channel_groups(module, feeds or FEEDS)}


def group(module: nn.Module, name: str = "stem", **feeds: torch.Tensor) -> Group:
    found = groups(module, **feeds)[name]
    assert isinstance(found, Group), found
    return found


def reason(module: nn.Module, name: str = "stem") -> str:
    found = groups(module)[name]
    assert isinstance(found, LeftAlone), found
    return found.reason


def rows(found: Group) -> dict[tuple[str, str, int, str], tuple[tuple[int, ...], ...]]:
    return {(s.path, s.tensor, s.axis, s.role): s.rows for s in found.slices}


def one_each(count: int) -> tuple[tuple[int, ...], ...]:
    return tuple((index,) for index in range(count))


def test_a_channel_is_a_row_of_what_makes_reads_and_norms_it() -> None:
    found = group(Net(nn.BatchNorm2d(4)))
    assert (found.unit, found.units, found.per_unit) == ("channel", 4, 1)
    assert found.layers == ("stem",)
    assert rows(found) == {
        ("stem", "weight", 0, "out"): one_each(4),
        ("stem", "bias", 0, "shift"): one_each(4),
        ("between", "weight", 0, "scale"): one_each(4),
        ("between", "bias", 0, "shift"): one_each(4),
        ("between", "running_mean", 0, "state"): one_each(4),
        ("between", "running_var", 0, "state"): one_each(4),
        ("head", "weight", 1, "in"): one_each(4),
    }


def test_tensors_that_a_layer_has_not_are_no_rows() -> None:
    norm = nn.BatchNorm2d(4, affine=False, track_running_stats=False)
    head = nn.Conv2d(4, 3, 1)
    net = Net(norm, head)
    net.stem = nn.Conv2d(1, 4, 3, bias=False)
    assert set(rows(group(net))) == {("stem", "weight", 0, "out"), ("head", "weight", 1, "in")}


def test_what_the_network_answers_is_left_alone() -> None:
    assert reason(Net(nn.ReLU()), "head") == "its channels are the network's output"


def test_features_behind_a_flatten_are_runs_of_their_channel() -> None:
    class Flat(Net):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.head(torch.flatten(self.stem(image), 1))

    found = group(Flat(nn.Identity(), nn.Linear(4 * 16, 3)))
    expected = tuple(tuple(range(16 * c, 16 * c + 16)) for c in range(4))
    assert rows(found)["head", "weight", 1, "in"] == expected


def test_a_depthwise_convolution_has_a_row_for_each_channel() -> None:
    found = group(Net(nn.Conv2d(4, 4, 3, groups=4)))
    assert found.layers == ("stem", "between") and found.per_unit == 1
    assert rows(found)["between", "weight", 0, "out"] == one_each(4)


def test_a_grouped_convolution_ties_the_same_channel_of_each_group() -> None:
    found = group(Net(nn.Conv2d(4, 4, 3, groups=2)))
    assert (found.units, found.per_unit) == (2, 2)
    assert rows(found)["stem", "weight", 0, "out"] == ((0, 2), (1, 3))
    assert rows(found)["between", "weight", 1, "in"] == ((0,), (1,)), "inputs of one group"


def test_a_transposed_convolution_makes_its_channels_along_the_second_axis() -> None:
    net = Net(nn.ConvTranspose2d(4, 4, 2))
    assert rows(group(net))["between", "weight", 0, "in"] == one_each(4)
    assert rows(group(net, "between"))["between", "weight", 1, "out"] == one_each(4)


def test_layers_that_are_added_lose_their_channels_together() -> None:
    class Added(Net):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            x = self.stem(image)
            return self.head(x + self.between(x)).mean(dim=(2, 3))

    found = group(Added(nn.Conv2d(4, 4, 1)))
    assert found.layers == ("stem", "between") and found.units == 4
    assert rows(found)["between", "weight", 1, "in"] == one_each(4)


def test_concatenated_channels_are_read_behind_each_other() -> None:
    class Both(Net):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            x = torch.cat([self.stem(image), self.between(image)], dim=1)
            return self.head(x).mean(dim=(2, 3))

    net = Both(nn.Conv2d(1, 2, 3), nn.Conv2d(6, 3, 1))
    assert rows(group(net))["head", "weight", 1, "in"] == one_each(4)
    assert rows(group(net, "between"))["head", "weight", 1, "in"] == ((4,), (5,))


def test_of_padded_channels_only_those_go_that_the_narrow_layer_makes() -> None:
    class Padded(Net):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            x = self.stem(image)
            wide = functional.pad(x, (0, 0, 0, 0, 1, 1))
            return self.head(wide + self.between(x)).mean(dim=(2, 3))

    found = group(Padded(nn.Conv2d(4, 6, 1), nn.Conv2d(6, 3, 1)))
    assert found.name == "stem" and found.units == 4
    assert rows(found)["between", "weight", 0, "out"] == ((1,), (2,), (3,), (4,))
    assert rows(found)["head", "weight", 1, "in"] == ((1,), (2,), (3,), (4,))


def test_prelu_and_parameters_scale_a_channel_where_they_have_one_for_each() -> None:
    assert rows(group(Net(nn.PReLU(4))))["between", "weight", 0, "scale"] == one_each(4)
    assert not any(path == "between" for path, *_ in rows(group(Net(nn.PReLU()))))
    scaled = group(Net(Called(torch.mul, 1, 4, 1, 1)))
    assert rows(scaled)["between", "own", 1, "scale"] == one_each(4)


def test_an_embedding_makes_channels_along_its_second_axis() -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.head = nn.Embedding(9, 4), nn.Linear(4, 2)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.head(self.words(ids).mean(dim=1))

    found = group(Words(), "words", ids=torch.zeros(1, 3, dtype=torch.long))
    assert rows(found)["words", "weight", 1, "out"] == one_each(4)
    assert rows(found)["head", "weight", 1, "in"] == one_each(4)


@pytest.mark.parametrize(
    ("between", "head", "said"),
    [
        (nn.GroupNorm(2, 4), None, "'between' normalizes over its channels"),
        (nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(8, 3, 1), "several channels of each group's one"),
        (nn.ConvTranspose2d(4, 4, 3, groups=2), None, "a grouped transposed convolution"),
        (weight_norm(nn.Conv2d(4, 4, 3)), None, "'between' computes its weight from other tensors"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_cannot_lose_a_channel_is_named(
    between: nn.Module, head: nn.Module | None, said: str
) -> None:
    assert said in reason(Net(between, head))


def test_weights_that_two_layers_share_are_left_alone() -> None:
    class Twice(Net):
        def __init__(self) -> None:
            super().__init__(nn.Conv2d(4, 4, 1, bias=False))
            self.again = nn.Conv2d(4, 4, 1, bias=False)
            self.again.weight = self.between.weight

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.head(self.again(self.between(self.stem(image)))).mean(dim=(2, 3))

    assert "shares its weights with" in reason(Twice())


def test_channels_that_an_operation_multiplies_with_each_other_have_an_end() -> None:
    module = pruned_nets.gram()
    found = groups(module, image=torch.zeros(1, 1, 28, 28))
    assert isinstance(found["first"], Group)
    second = found["second"]
    assert isinstance(second, LeftAlone) and "mixes its channels" in second.reason


def test_a_channel_shuffle_is_no_error_of_the_graph() -> None:
    """Guards against the division by zero that Torch-Pruning meets at such a reshape."""

    class Shuffled(Net):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            x = self.stem(image)
            n, c, h, w = x.shape
            x = x.reshape(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
            return self.head(x).mean(dim=(2, 3))

    assert set(groups(Shuffled(nn.Identity()))) == {"stem", "head"}


def test_a_module_is_neither_changed_nor_left_with_gradients() -> None:
    net = Net(nn.BatchNorm2d(4)).train()
    net.stem.weight.requires_grad_(False)
    before = {name: values.clone() for name, values in net.state_dict().items()}
    groups(net)
    assert net.training and not net.stem.weight.requires_grad
    assert all(torch.equal(values, before[name]) for name, values in net.state_dict().items())


def test_a_module_that_cannot_be_traced_is_refused_by_name() -> None:
    with pytest.raises(PassError, match="cannot trace 'b': gradients do not pass it"):
        groups(pruned_nets.detached(), image=torch.zeros(1, 1, 28, 28))


def test_layers_before_a_detach_are_in_no_group() -> None:
    assert set(groups(Net(Called(torch.detach)))) == {"head"}


def test_rows_of_a_group_are_disjoint_and_all_its_own() -> None:
    """Each row of what makes channels belongs to one unit, in every kind of network."""
    image = torch.zeros(1, 1, 28, 28)
    for made in (pruned_nets.mobile, pruned_nets.joined):
        module = made()
        for found in groups(module, image=image).values():
            if isinstance(found, LeftAlone):
                continue
            makers = [s for s in found.slices if s.role == "out"]
            assert makers
            for each in makers:
                assert_partition(module, each)


def assert_partition(module: nn.Module, each: Slice) -> None:
    size = getattr(module.get_submodule(each.path), each.tensor).shape[each.axis]
    assert sorted(row for unit in each.rows for row in unit) == list(range(size))
