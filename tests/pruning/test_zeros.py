from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from edgeopt.pruning import zeros
from edgeopt.schema.errors import PassError


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Linear(4, 4)), nn.Linear(4, 2)
    )


# -- which weights


def test_weights_are_those_of_convolutions_and_linear_layers_that_are_not_kept() -> None:
    module = network()
    assert set(zeros.weights_of(module, [])) == {"0", "2.0", "3"}
    assert set(zeros.weights_of(module, ["2", "3"])) == {"0"}, "all that is inside 2"
    assert zeros.weights_of(module, [])["3"].data_ptr() == module[3].weight.data_ptr()


def test_attention_has_its_projections() -> None:
    module = nn.Sequential(nn.MultiheadAttention(4, 2))
    assert set(zeros.weights_of(module, [])) == {"0.in_proj", "0.out_proj"}


@pytest.mark.parametrize(
    ("module", "keep", "said"),
    [
        (network(), ["4"], "keep names '4', which is not a layer"),
        (network(), ["0", "2", "3"], "no convolution or linear layer is left to prune"),
        (nn.Sequential(nn.ReLU()), [], "no convolution or linear layer is left to prune"),
        (nn.Sequential(weight_norm(nn.Linear(2, 2))), [], "'0' computes its weight from other"),
    ],
)
def test_what_cannot_be_pruned_is_refused(module: nn.Module, keep: list[str], said: str) -> None:
    with pytest.raises(PassError) as caught:
        zeros.weights_of(module, keep)
    assert said in caught.value.what
    if "computes" in said:
        assert set(zeros.weights_of(nn.Sequential(*module, nn.Linear(2, 2)), ["0"])) == {"1"}


# -- masks


@given(st.integers(1, 60), st.floats(0, 1), st.booleans())
def test_the_smallest_go_and_as_many_as_were_asked_for(
    size: int, sparsity: float, everywhere: bool
) -> None:
    values = torch.randn(size, generator=torch.Generator().manual_seed(size))
    mask = zeros.by_magnitude({"a": values}, sparsity, everywhere)["a"]
    assert int((~mask).sum()) == round(sparsity * size)
    if mask.any() and not mask.all():
        assert values[mask].abs().min() >= values[~mask].abs().max()


def test_of_equals_the_earlier_ones_go() -> None:
    mask = zeros.by_magnitude({"a": torch.tensor([[1.0, -1.0], [1.0, 1.0]])}, 0.5, False)["a"]
    assert mask.tolist() == [[False, False], [True, True]]


def test_weights_of_all_layers_are_compared_only_where_that_is_asked() -> None:
    weights = {"small": torch.full((2, 2), 0.1), "large": torch.full((1, 4), 9.0)}
    each = zeros.by_magnitude(weights, 0.5, everywhere=False)
    assert [int(mask.sum()) for mask in each.values()] == [2, 2]
    together = zeros.by_magnitude(weights, 0.5, everywhere=True)
    assert not together["small"].any() and together["large"].all()
    assert together["large"].shape == (1, 4)


def test_a_layer_that_would_be_left_empty_is_named() -> None:
    masks = {"a": torch.tensor([True]), "b": torch.zeros(2, 3, dtype=torch.bool)}
    with pytest.raises(PassError, match="'b' would keep none of its 6 weights"):
        zeros.check_none_empty(masks)
    zeros.check_none_empty({"a": masks["a"]})


# -- two of four


@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 9))
def test_two_of_each_four_neighbours_stay_and_they_are_the_largest(
    outputs: int, fours: int, seed: int
) -> None:
    values = torch.randn(outputs, 4 * fours, generator=torch.Generator().manual_seed(seed))
    mask = zeros.two_of_four({"a": values}, {})["a"]
    for four, stays in zip(values.abs().reshape(-1, 4), mask.reshape(-1, 4), strict=True):
        assert int(stays.sum()) == 2
        assert four[stays].min() >= four[~stays].max()


def test_neighbours_lie_along_the_inputs() -> None:
    transposed = nn.ConvTranspose2d(4, 2, 1)
    assert zeros.inputs_axis(transposed) == 0
    assert zeros.inputs_axis(nn.Conv2d(4, 2, 1)) == zeros.inputs_axis(nn.Linear(4, 2)) == 1
    mask = zeros.two_of_four({"a": transposed.weight.detach()}, {"a": 0})["a"]
    assert mask.shape == (4, 2, 1, 1)
    assert mask.sum(0).flatten().tolist() == [2, 2]


def test_layers_whose_inputs_are_no_multiple_of_four_stay_whole() -> None:
    weights = {"odd": torch.ones(4, 6), "even": torch.ones(2, 8)}
    assert set(zeros.two_of_four(weights, {})) == {"even"}
    with pytest.raises(PassError, match="a multiple of four; none has"):
        zeros.two_of_four({"odd": weights["odd"]}, {})


# -- the rest


def test_the_curve_rises_fast_then_slowly() -> None:
    curve = [zeros.scheduled(0.8, share) for share in (0.0, 0.25, 0.5, 1.0, 2.0)]
    assert curve[0] == 0.0 and curve[3] == curve[4] == 0.8
    assert curve[1] > 0.5 * curve[3] and curve[2] == pytest.approx(0.7)


def test_zeros_are_set_in_place_and_pack_well() -> None:
    module = network()
    weights = zeros.weights_of(module, [])
    before = zeros.compressed_bytes(weights.values())
    zeros.apply(weights, zeros.by_magnitude(weights, 0.9, everywhere=True))
    assert int((module[2][0].weight == 0).sum()) > 8
    assert zeros.compressed_bytes(weights.values()) < before
    assert zeros.compressed_bytes([]) < 10
