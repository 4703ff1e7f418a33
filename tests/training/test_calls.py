from __future__ import annotations

from typing import Any

import torch
from torch import nn

from edgeopt.training.calls import asked, called


class Difference(nn.Module):
    def forward(self, first: Any, second: Any) -> Any:
        return first - second


def test_inputs_are_given_by_name_or_else_in_their_order() -> None:
    two, one = torch.tensor(2.0), torch.tensor(1.0)
    assert called(Difference(), {"second": two, "first": one}) == -1
    assert called(Difference(), {"image": two, "mask": one}) == 1


def test_an_error_inside_the_module_is_not_taken_for_another_name() -> None:
    class Breaks(nn.Module):
        calls = 0

        def forward(self, x: Any) -> Any:
            Breaks.calls += 1
            raise TypeError("inside")

    try:
        called(Breaks(), {"x": 1})
    except TypeError as error:
        assert str(error) == "inside"
    assert Breaks.calls == 1


def test_a_teacher_gets_images_in_the_memory_order_that_it_was_left_in() -> None:
    class Told(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3)

        def forward(self, x: torch.Tensor) -> bool:
            return x.is_contiguous()

    images = torch.zeros(1, 2, 4, 4).contiguous(memory_format=torch.channels_last)
    assert asked(Told(), {"x": images})
    arranged = Told().to(memory_format=torch.channels_last)
    assert not asked(arranged, {"x": images})
