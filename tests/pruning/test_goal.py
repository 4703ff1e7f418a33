from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgeopt.pruning.goal import FLOOR, Chooser, cost, reach
from edgeopt.pruning.groups import Group, Slice
from edgeopt.pruning.prunable import find_prunable
from edgeopt.pruning.surgery import edits_of, pruned
from edgeopt.schema.errors import PassError

X = {"input": torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))}


def group(name: str, units: int, per_unit: int = 1, unit: Any = "channel") -> Group:
    rows = tuple((index,) for index in range(units))
    return Group(name, unit, units, per_unit, (Slice(name, "weight", 0, rows, "out"),))


def chooser(*groups: Group, scores: dict[str, Any] | None = None, **more: Any) -> Chooser:
    """Units count for more the later they stand, where no scores are given."""
    worth = {g.name: torch.arange(g.units, dtype=torch.float64) for g in groups}
    given = {name: torch.tensor(v, dtype=torch.float64) for name, v in (scores or {}).items()}
    return Chooser(groups, worth | given, **more)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(16, 4, 1)
    return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])


def test_of_equal_scores_the_first_units_stay() -> None:
    kept = chooser(group("a", 6), scores={"a": [1, 5, 1, 5, 1, 0]}).share(0.5)
    assert kept == {"a": (0, 1, 3)}


def test_a_uniform_share_is_the_same_of_each_group() -> None:
    kept = chooser(group("a", 8), group("b", 100)).share(0.25)
    assert {name: len(units) for name, units in kept.items()} == {"a": 6, "b": 75}
    assert kept["a"] == (2, 3, 4, 5, 6, 7)


def test_a_global_share_goes_where_units_are_worth_least() -> None:
    worth = {"a": [0.1] * 10, "b": [9.0] * 10}
    kept = chooser(group("a", 10), group("b", 10), scores=worth, spread="global").share(0.4)
    assert {name: len(units) for name, units in kept.items()} == {"a": 2, "b": 10}
    worth = {"a": [0.1] * 20, "b": [9.0] * 20}
    least = chooser(group("a", 20), group("b", 20), scores=worth, spread="global").share(0.5)
    assert len(least["a"]) == FLOOR * 20, "no group is emptied"


@given(
    st.integers(1, 70), st.sampled_from([1, 2, 3, 4, 8]), st.sampled_from([1, 4, 8, 16]),
    st.floats(0, 1), st.sampled_from(["uniform", "global"]),
)  # fmt: skip
def test_any_share_keeps_a_multiple_and_at_least_one(
    units: int, per_unit: int, round_to: int, gone: float, spread: Any
) -> None:
    made = chooser(group("a", units, per_unit), round_to=round_to, spread=spread)
    kept = made.share(gone)["a"]
    assert 1 <= len(kept) <= units
    assert kept == tuple(range(units - len(kept), units)), "the worst go, in one order"
    whole = len(kept) == units
    assert whole or len(kept) * per_unit % round_to == 0
    assert len(made.share(0.0)["a"]) == units, "nothing goes, whatever it is rounded to"


def test_heads_are_not_rounded() -> None:
    made = chooser(group("m", 4, per_unit=3, unit="head"), round_to=16)
    assert len(made.share(0.25)["m"]) == 3


def test_a_ratio_is_of_each_layer_or_of_those_that_are_named() -> None:
    made = chooser(group("a", 8), group("b", 8))
    assert [len(units) for units in made.ratios(0.5).values()] == [4, 4]
    assert [len(units) for units in made.ratios({"b": 0.25}).values()] == [8, 6]


def test_a_layer_that_no_ratio_names_stays_whole_whatever_widths_are_rounded_to() -> None:
    made = chooser(group("a", 11), group("b", 8), round_to=4)
    assert {name: len(units) for name, units in made.ratios({"b": 0.5}).items()} == {
        "a": 11, "b": 4
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ratio", "round_to", "said"),
    [
        (1.0, 1, "a ratio of 1 would leave 'a' none of its 8 channels"),
        (0.9, 1, "a ratio of 0.9 would leave 'a' none of its 8 channels"),
        (0.8, 4, "none of its 8 channels, in multiples of 4"),
        ({"a": 0.95}, 1, "a ratio of 0.95 would leave 'a' none"),
        ({"c": 0.5}, 1, "'c' is not a layer that can be pruned"),
    ],
)
def test_ratios_that_cannot_be_are_refused_by_name(ratio: Any, round_to: int, said: str) -> None:
    with pytest.raises(PassError) as caught:
        chooser(group("a", 8), round_to=round_to).ratios(ratio)
    assert said in caught.value.what and caught.value.hint


def test_layers_of_one_group_cannot_have_two_ratios() -> None:
    both = group("a", 8)
    both = Group(**{**vars(both), "slices": (*both.slices, Slice("b", "weight", 0, (), "out"))})
    assert len(chooser(both).ratios({"a": 0.5, "b": 0.5})["a"]) == 4
    with pytest.raises(PassError, match="'b' can only be pruned as 'a' is, by one ratio"):
        chooser(both).ratios({"a": 0.5, "b": 0.25})


def test_costs_are_those_of_one_sample() -> None:
    told = cost(network(), X)
    assert told.macs == 16 * (9 * 8 + 9 * 8 * 16 + 16 * 4)
    assert told.parameters == sum(p.numel() for p in network().parameters())


@pytest.mark.parametrize("quantity", ["macs", "parameters"])
@pytest.mark.parametrize("goal", [0.7, 0.3])
def test_a_goal_is_kept_and_nothing_more_could_stay(quantity: Any, goal: float) -> None:
    module = network()
    groups = find_prunable(module, X).groups
    worth = {g.name: torch.arange(g.units, dtype=torch.float64) for g in groups}
    kept = reach(module, X, Chooser(groups, worth), quantity, goal)

    def share(units: dict[str, tuple[int, ...]]) -> float:
        small = cost(pruned(module, edits_of(module, groups, units)), X)
        return float(getattr(small, quantity) / getattr(cost(module, X), quantity))

    assert goal - 0.1 < share(dict(kept)) <= goal
    wider = {name: units if len(units) == 16 else (units[0] - 1, *units)
             for name, units in kept.items()}  # fmt: skip
    assert share(wider) > goal


def test_a_goal_below_what_must_stay_says_what_is_left() -> None:
    module = network()
    groups = find_prunable(module, X).groups
    worth = {g.name: torch.ones(g.units) for g in groups}
    with pytest.raises(PassError, match=r"macs: 0\.01 cannot be reached: 0\.\d+ is left"):
        reach(module, X, Chooser(groups, worth, round_to=8), "macs", 0.01)


def test_progress_is_told_up_to_the_last_step() -> None:
    module, told = network(), list[tuple[int, int]]()
    groups = find_prunable(module, X).groups
    worth = {g.name: torch.ones(g.units) for g in groups}
    reach(module, X, Chooser(groups, worth), "macs", 0.5, lambda *at: told.append(at))
    assert [done for done, _ in told] == list(range(told[0][1]))
