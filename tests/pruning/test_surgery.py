from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn

from edgeopt.pruning.groups import Group, Number, Slice
from edgeopt.pruning.surgery import depthwise, edits_of, pruned, removed


def rows(count: int, each: int = 1) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(range(each * i, each * i + each)) for i in range(count))


def group(*slices: Slice, units: int = 4, numbers: tuple[Number, ...] = ()) -> Group:
    return Group("g", "channel", units, 1, slices, numbers)


def test_what_goes_is_told_by_tensor_and_axis() -> None:
    two = group(Slice("a", "weight", 0, rows(4), "out"), Slice("b", "weight", 1, rows(4, 2), "in"))
    assert removed([two], {"g": (0, 3)}) == {
        ("a", "weight", 0): {1, 2},
        ("b", "weight", 1): {2, 3, 4, 5},
    }
    assert removed([two], {"g": (0, 1, 2, 3)}) == removed([two], {}) == {}


def test_rows_that_two_groups_lose_are_joined() -> None:
    first = group(Slice("b", "weight", 1, ((0,), (1,)), "in"), units=2)
    second = Group("h", "channel", 2, 1, (Slice("b", "weight", 1, ((2,), (3,)), "in"),))
    assert removed([first, second], {"g": (0,), "h": (1,)}) == {("b", "weight", 1): {1, 2}}


@pytest.mark.parametrize(
    ("layer", "axis", "size", "said"),
    [
        (nn.Conv2d(3, 4, 3), 0, 4, {"out_channels": 2}),
        (nn.Conv2d(4, 3, 3), 1, 4, {"in_channels": 2}),
        (nn.ConvTranspose2d(4, 3, 3), 0, 4, {"in_channels": 2}),
        (nn.ConvTranspose2d(3, 4, 3), 1, 4, {"out_channels": 2}),
        (nn.Conv2d(4, 4, 3, groups=4), 0, 4,
         {"in_channels": 2, "out_channels": 2, "groups": 2}),
        (nn.Conv2d(8, 6, 3, groups=2), 1, 4, {"in_channels": 4}),
        (nn.Linear(3, 4), 0, 4, {"out_features": 2}),
        (nn.Linear(4, 3), 1, 4, {"in_features": 2}),
        (nn.Embedding(9, 4), 1, 4, {"embedding_dim": 2}),
        (nn.PReLU(4), 0, 4, {"num_parameters": 2}),
        (nn.BatchNorm2d(4), 0, 4, {"num_features": 2}),
    ],
    ids=str,
)  # fmt: skip
def test_a_layer_s_own_numbers_follow_its_weights(
    layer: nn.Module, axis: int, size: int, said: dict[str, int]
) -> None:
    module = nn.Sequential(layer)
    one = group(Slice("0", "weight", axis, rows(size), "out"))
    (record,) = edits_of(module, [one], {"g": (1, 3)})
    assert record["modules"]["0"] == {"keep": {"weight": {str(axis): [1, 3]}}, "set": said}


def test_a_norm_without_weights_tells_its_features_by_its_figures() -> None:
    module = nn.Sequential(nn.BatchNorm2d(4, affine=False))
    one = group(Slice("0", "running_mean", 0, rows(4), "state"))
    (record,) = edits_of(module, [one], {"g": (0,)})
    assert record["modules"]["0"]["set"] == {"num_features": 1}


def test_both_axes_of_a_layer_are_one_entry() -> None:
    module = nn.Sequential(nn.Linear(4, 4))
    first = group(Slice("0", "weight", 0, rows(4), "out"), Slice("0", "bias", 0, rows(4), "shift"))
    second = Group("h", "channel", 2, 1, (Slice("0", "weight", 1, rows(2, 2), "in"),))
    (record,) = edits_of(module, [first, second], {"g": (0,), "h": (1,)})
    assert record["modules"]["0"] == {
        "keep": {"weight": {"0": [0], "1": [2, 3]}, "bias": {"0": [0]}},
        "set": {"out_features": 1, "in_features": 2},
    }


def test_numbers_shrink_with_each_unit_that_goes() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heads, self.inner = 4, 8
            self.out = nn.Linear(8, 2)

    numbers = (Number("", "heads", 1), Number("", "inner", 2))
    one = group(Slice("out", "weight", 1, rows(4, 2), "in"), numbers=numbers)
    (record,) = edits_of(Counting(), [one], {"g": (2,)})
    assert record["modules"][""] == {"keep": {}, "set": {"heads": 1, "inner": 2}}


def test_attentions_are_narrowed_before_they_lose_heads() -> None:
    module = nn.Sequential(nn.MultiheadAttention(8, 2))
    one = Group("0", "head", 2, 4, (Slice("0.out_proj", "weight", 1, rows(2, 4), "in"),),
                (Number("0", "num_heads", 1),), ("0",))  # fmt: skip
    records = edits_of(module, [one], {"0": (1,)})
    assert [record["edit"] for record in records] == ["narrow-attention", "prune"]
    assert records[0]["modules"] == {"0": {}}


def test_nothing_goes_where_everything_stays() -> None:
    module = nn.Sequential(nn.Linear(3, 4))
    one = group(Slice("0", "weight", 0, rows(4), "out"))
    assert edits_of(module, [one], {"g": (0, 1, 2, 3)}) == edits_of(module, [one], {}) == []


def test_records_are_plain_json_and_done_on_a_copy() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    slices = [Slice("0", name, 0, rows(4), "out") for name in ("weight", "bias")]
    one = group(*slices, Slice("1", "weight", 1, rows(4), "in"))
    records: Any = json.loads(json.dumps(edits_of(module, [one], {"g": (0, 2)})))
    smaller: Any = pruned(module, records)
    assert torch.equal(smaller[0].weight, module[0].weight[[0, 2]])
    assert torch.equal(smaller[1].weight, module[1].weight[:, [0, 2]])
    assert (smaller[0].out_features, smaller[1].in_features) == (2, 2)
    assert module[0].out_features == 4 and module[0].weight.shape == (4, 3)
    assert smaller(torch.zeros(1, 3)).shape == (1, 2)


@pytest.mark.parametrize(
    ("layer", "is_one"),
    [
        (nn.Conv2d(4, 4, 3, groups=4), True),
        (nn.Conv1d(4, 8, 3, groups=4), False),
        (nn.Conv2d(4, 4, 3, groups=2), False),
        (nn.Conv2d(1, 1, 3), False),
        (nn.Linear(4, 4), False),
    ],
    ids=str,
)
def test_depthwise_is_one_channel_of_each_own(layer: nn.Module, is_one: bool) -> None:
    assert depthwise(layer) is is_one
