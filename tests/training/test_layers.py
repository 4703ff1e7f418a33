from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edgeopt.schema.errors import PassError
from edgeopt.training.layers import Pair, pairs_of, tapped

IMAGE = {"input": torch.zeros(2, 1, 8, 8)}


def convolutions(*widths: int) -> nn.Sequential:
    made: list[nn.Module] = []
    for before, width in zip((1, *widths), widths, strict=False):
        made.append(nn.Conv2d(before, width, 3, padding=1))
    return nn.Sequential(*made)


def test_layers_are_tapped_while_a_module_runs_and_not_afterwards() -> None:
    module = convolutions(2, 3)
    with tapped(module, ["0"]) as seen:
        module(IMAGE["input"])
    assert seen["0"].shape == (2, 2, 8, 8)
    before = seen["0"]
    module(IMAGE["input"] + 1)
    assert seen["0"] is before and not any(m._forward_hooks for m in module.modules())


def test_layers_of_equal_names_are_paired_the_last_of_each_size() -> None:
    pairs = pairs_of(convolutions(2, 3, 4), convolutions(2, 6, 8), IMAGE, {})
    assert pairs == [Pair("2", "2", 1, (4, 8))]
    student = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, stride=2, padding=1))
    teacher = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 9, 3, stride=2, padding=1))
    assert pairs_of(student, teacher, IMAGE, {}) == [
        Pair("0", "0", None, (4, 4)), Pair("1", "1", 1, (4, 9))
    ]  # fmt: skip


def test_named_layers_are_paired_as_they_are_named() -> None:
    pairs = pairs_of(convolutions(2, 3), convolutions(2, 6, 8), IMAGE, {"0": "1", "1": "2"})
    assert pairs == [Pair("0", "1", 1, (2, 6)), Pair("1", "2", 1, (3, 8))]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"5": "0"}, "the student has no layer '5' that gives a tensor"),
        ({"0": "5"}, "the teacher has no layer '5' that gives a tensor"),
        ({"0": "1"}, "'0' of the student gives [2, 2, 8, 8], '1' of the teacher [2, 6, 4, 4]: "
                     "they may differ in their channels only"),
    ],
)  # fmt: skip
def test_layers_that_cannot_be_paired_are_named(named: dict[str, str], said: str) -> None:
    teacher = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 6, 3, stride=2, padding=1))
    with pytest.raises(PassError) as caught:
        pairs_of(convolutions(2, 3), teacher, IMAGE, named)
    assert said in caught.value.what


def test_nothing_of_equal_names_and_sizes_asks_for_names() -> None:
    with pytest.raises(PassError, match="no layers of equal names and sizes") as caught:
        pairs_of(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), convolutions(2), IMAGE, {})
    assert "layers: {" in caught.value.hint


def test_a_vector_has_no_positions_to_look_at() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(PassError, match=r"'1' gives \[2, 2\], which has no positions"):
        pairs_of(flat, flat, IMAGE, {"1": "1"}, axes=3)
    assert pairs_of(flat, flat, IMAGE, {"1": "1"}) == [Pair("1", "1", None, (2, 2))]


def test_channels_of_tokens_lie_last_and_those_of_images_second() -> None:
    tokens = nn.Sequential(nn.Linear(5, 6), nn.GELU(), nn.Linear(6, 4))
    feeds = {"input": torch.zeros(2, 3, 5)}
    found: Any = pairs_of(tokens, tokens, feeds, {"0": "0", "1": "1"})
    assert [pair.channels for pair in found] == [2, 2], "an activation is like the layer before"
    lines = nn.Sequential(nn.Conv1d(3, 6, 1))
    assert pairs_of(lines, lines, feeds, {"0": "0"})[0].channels == 1


def test_modes_of_the_modules_stay() -> None:
    student, teacher = convolutions(2).train(), convolutions(2).eval()
    pairs_of(student, teacher, IMAGE, {})
    assert student.training and not teacher.training
