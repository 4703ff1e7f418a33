from __future__ import annotations

from typing import Any

import pruned_nets
import pytest
import torch
from torch import nn

from edgeopt.agent.narrow_attention import NarrowAttention
from edgeopt.pruning.groups import Group, LeftAlone
from edgeopt.pruning.heads import head_groups

LINES = torch.zeros(1, 3, 8)


class Block(nn.Module):
    def __init__(self, attention: nn.Module, calls: Any = None) -> None:
        super().__init__()
        self.attention, self.calls = attention, calls

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = self.calls(self.attention, x) if self.calls else self.attention(x)
        return made if isinstance(made, torch.Tensor) else made[0]


def by_torch(**given: Any) -> Block:
    attention = nn.MultiheadAttention(8, 2, batch_first=True, **given)
    return Block(attention, lambda layer, x: layer(x, x, x))


def ways(module: nn.Module) -> list[Group]:
    (found,) = head_groups(module, {"x": LINES})
    assert not isinstance(found, LeftAlone), found.reason
    return found


def reason(module: nn.Module) -> str:
    (found,) = head_groups(module, {"x": LINES})
    assert isinstance(found, LeftAlone)
    return found.reason


def rows(group: Group) -> dict[tuple[str, str, str], tuple[tuple[int, ...], ...]]:
    return {(s.path, s.tensor, s.role): s.rows for s in group.slices}


def test_a_head_of_torch_s_attention_has_rows_in_each_third() -> None:
    (group,) = ways(by_torch())
    assert (group.unit, group.units, group.per_unit) == ("head", 2, 4)
    assert group.attentions == ("attention",)
    first, second = rows(group)["attention", "in_proj_weight", "out"]
    assert first == (0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19)
    assert set(first).isdisjoint(second) and len({*first, *second}) == 24
    assert rows(group)["attention.out_proj", "weight", "in"] == ((0, 1, 2, 3), (4, 5, 6, 7))
    assert rows(group)["attention", "in_proj_bias", "shift"] == (first, second)
    (number,) = group.numbers
    assert (number.path, number.attribute, number.step) == ("attention", "num_heads", 1)


def test_attention_without_biases_has_no_rows_of_them() -> None:
    (group,) = ways(by_torch(bias=False))
    assert {tensor for _, tensor, _ in rows(group)} == {"in_proj_weight", "weight"}


def test_attention_that_is_the_whole_module_names_no_parent() -> None:
    class Alone(nn.MultiheadAttention):
        pass

    attention = nn.MultiheadAttention(8, 2)
    (found,) = head_groups(attention, {})
    assert isinstance(found, list)
    assert {s.path for s in found[0].slices} == {"", "out_proj"}
    (other,) = head_groups(Alone(8, 2), {})
    assert isinstance(other, LeftAlone), "whatever a subclass does is not known"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kdim": 4, "vdim": 4}, "queries, keys and values differ in width"),
        ({"add_bias_kv": True}, "adds keys and values of its own"),
        ({"add_zero_attn": True}, "adds keys and values of its own"),
    ],
)
def test_attention_whose_heads_have_other_rows_is_left_alone(
    given: dict[str, Any], said: str
) -> None:
    (found,) = head_groups(nn.MultiheadAttention(8, 2, **given), {})
    assert isinstance(found, LeftAlone) and said in found.reason


def test_attention_that_lost_heads_before_can_lose_more() -> None:
    attention = nn.MultiheadAttention(8, 2)
    NarrowAttention.take(attention)
    (found,) = head_groups(attention, {})
    assert isinstance(found, list)
    assert found[0].units == 2 and found[0].attentions == (), "it is narrow already"


@pytest.mark.parametrize("fused", [True, False])
def test_heads_of_linear_layers_are_offered_with_each_number_that_may_count_them(
    fused: bool,
) -> None:
    found = ways(Block(pruned_nets.Attention(8, 2, fused)))
    numbers = [{n.attribute for n in way.numbers} for way in found]
    assert numbers == [{"num_heads"}, {"num_heads", "inner"}, set()]
    assert len({way.slices for way in found}) == 1
    group = found[1]
    assert {n.attribute: n.step for n in group.numbers} == {"num_heads": 1, "inner": 4}
    makers = {path: r for (path, _, role), r in rows(group).items() if role == "out"}
    if fused:
        first = (0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19)
        assert {path: r[0] for path, r in makers.items()} == {"attention.qkv": first}
    else:
        assert set(makers) == {f"attention.{name}" for name in "qkv"}
        assert set(makers.values()) == {((0, 1, 2, 3), (4, 5, 6, 7))}
    assert rows(group)["attention.out", "weight", "in"] == ((0, 1, 2, 3), (4, 5, 6, 7))


class Odd(nn.Module):
    """Says that it has heads, and runs some linear layers."""

    def __init__(self, heads: int, *widths: int) -> None:
        super().__init__()
        self.n_heads = heads
        self.layers = nn.ModuleList(nn.Linear(8, width) for width in widths)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)[..., :8]
        return x


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Odd(3, 24, 8), "'attention' has 3 heads for 8 channels"),
        (Odd(0, 24, 8), "'attention' has 0 heads for 8 channels"),
        (Odd(2, 16, 8), "no heads are seen in linear layers of 16 and 8 channels"),
        (Odd(2, 8, 8, 8, 8, 8), "no heads are seen in linear layers of 8, 8, 8, 8 and 8 channels"),
    ],
)
def test_layers_that_hold_no_heads_are_left_alone(module: nn.Module, said: str) -> None:
    assert reason(Block(module)) == said


def test_queries_keys_and_values_alone_are_read_by_what_runs_next() -> None:
    class Inner(Odd):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return sum(layer(x) for layer in self.layers)  # type: ignore[return-value]

    class Around(Block):
        def __init__(self) -> None:
            super().__init__(Inner(2, 8, 8, 8))
            self.out = nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(super().forward(x))

    assert ("out", "weight", "in") in rows(ways(Around())[0])


def test_only_the_innermost_that_counts_heads_is_an_attention() -> None:
    class Outer(Block):
        def __init__(self) -> None:
            super().__init__(pruned_nets.Attention(8, 2, True))
            self.nhead = 2

    (found,) = head_groups(Outer(), {"x": LINES})
    assert isinstance(found, list) and found[0].name == "attention.qkv"
    assert list(head_groups(nn.Sequential(nn.Linear(8, 8)), {"x": LINES})) == []


def test_no_hook_is_left_on_the_module() -> None:
    module = Block(pruned_nets.Attention(8, 2, True))
    list(head_groups(module, {"x": LINES}))
    assert not any(each._forward_hooks for each in module.modules())
