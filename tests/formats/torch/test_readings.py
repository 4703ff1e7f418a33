"""How a network takes its samples, found by running it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edgeopt.formats.torch.readings import first_that_runs
from edgeopt.schema.errors import ModelError

GRAY: dict[str, Any] = {"shape": [4, 6], "dtype": "float32", "layout": ""}
AS_IMAGE = {"shape": [1, 4, 6], "dtype": "float32", "layout": "NCHW", "read": "NHW"}


class Rows(nn.Module):
    """Takes (n, rows, 6): a sequence, whatever it looks like."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, torch.ones(2, 6)).sum(dim=1)


class Any4(nn.Module):
    """Takes anything, and tells its axes apart."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1).cumsum(dim=1)[:, -1:] + x.shape[1]


def test_arrays_are_tried_as_they_are_first() -> None:
    found = first_that_runs(Rows(), {"x": {**GRAY, "else": [AS_IMAGE]}}, "net.py")
    assert found.inputs["x"]["shape"] == ["batch", 4, 6] and found.outputs == ["output"]


def test_an_image_is_taken_for_one_where_nothing_else_runs() -> None:
    net = nn.Conv2d(1, 2, 3)
    found = first_that_runs(net, {"input": {**GRAY, "else": [AS_IMAGE]}}, "net.py")
    assert found.inputs["input"] == {
        "shape": ["batch", 1, 4, 6], "dtype": "float32", "layout": "NCHW",
    }  # fmt: skip
    assert found.also == {}


def test_another_reading_that_answers_otherwise_is_told() -> None:
    found = first_that_runs(Any4(), {"x": {**GRAY, "else": [AS_IMAGE]}}, "net.py")
    assert found.also == {"x": "NHW"}


def test_each_input_is_read_by_itself() -> None:
    class Two(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            assert a.ndim == 3 and b.ndim == 4
            return a.sum((1, 2)) + b.sum((1, 2, 3))

    said = {**GRAY, "else": [AS_IMAGE]}
    found = first_that_runs(Two(), {"a": said, "b": said}, "net.py")
    assert [len(found.inputs[name]["shape"]) for name in "ab"] == [3, 4]


def test_where_nothing_runs_the_networks_own_words_are_told() -> None:
    net = nn.Conv2d(3, 2, 3)
    with pytest.raises(ModelError) as caught:
        first_that_runs(net, {"input": {**GRAY, "else": [AS_IMAGE]}}, "net.py")
    assert caught.value.what.count("the module cannot run on") == 2
    assert "data.layout" in caught.value.hint
    with pytest.raises(ModelError, match="the module cannot run on") as alone:
        first_that_runs(net, {"input": GRAY}, "net.py")
    assert alone.value.where == "net.py" and not alone.value.hint


def test_a_constant_is_fed_as_it_is_and_not_kept() -> None:
    class Divided(nn.Module):
        def forward(self, x: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
            assert rate.item() == 4, "the number that was given"
            return x / rate

    rate = {"shape": [], "dtype": "int64", "layout": "", "constant": 4}
    found = first_that_runs(Divided(), {"x": GRAY, "rate": rate}, "net.py")
    assert found.inputs["rate"] == {"shape": [], "dtype": "int64", "layout": ""}
