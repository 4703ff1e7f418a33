"""What modules give, in every form, as tensors by name."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, namedtuple
from typing import Any

import pytest
import torch

from edgeopt.agent.torch_outputs import by_name

A, B, C = (torch.full((2,), float(n)) for n in range(3))
Pair = namedtuple("Pair", "left right")


@dataclasses.dataclass
class Out:
    scores: Any
    loss: Any = None
    hidden: Any = ()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (A, {"output": A}),
        ((A, B), {"output_0": A, "output_1": B}),
        ((A, None, B), {"output_0": A, "output_2": B}),
        ([A, (B, [C])], {"output_0": A, "output_1_0": B, "output_1_1_0": C}),
        ({"b": B, "a": A, "none": None}, {"b": B, "a": A}),
        ({"boxes": [A, B], "aux": {"z": C}}, {"boxes_0": A, "boxes_1": B, "aux_z": C}),
        (Out(A, hidden=(B, C)), {"scores": A, "hidden_0": B, "hidden_1": C}),
        (OrderedDict(logits=A, states=(B, Pair(C, A))),
         {"logits": A, "states_0": B, "states_1_left": C, "states_1_right": A}),
        (Pair(A, Out(B)), {"left": A, "right_scores": B}),
        ({"same": A, "again": A}, {"same": A, "again": A}),
        ({"a_0": A, "a": [B]}, {"a_0": A, "a_0_": B}),
    ],
)  # fmt: skip
def test_tensors_have_the_names_of_what_they_lie_in(given: Any, wanted: dict[str, Any]) -> None:
    found = by_name(given)
    assert list(found) == list(wanted)
    assert all(found[name] is tensor for name, tensor in wanted.items())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (3, "forward returns a int"),
        ({"a": A, "n": 3}, "output 'n' is a int"),
        ((A, {"s": "text"}), "output 'output_1_s' is a str"),
    ],
)
def test_anything_else_is_named(given: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        by_name(given)
