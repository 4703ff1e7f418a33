from __future__ import annotations

import torch
from torch import nn

from edgeopt.training.average import average_of


def moving(decay: float, values: list[float]) -> tuple[list[float], nn.Module]:
    """What the average of a weight is after each update."""
    module = nn.BatchNorm1d(1)
    average = average_of(module, decay)
    seen = []
    for value in values:
        with torch.no_grad():
            module.weight.fill_(value)
            module.running_mean.fill_(value)
            module.num_batches_tracked.fill_(int(value))
        average.update_parameters(module)
        seen.append(float(average.module.weight))
        assert float(average.module.running_mean) == seen[-1], "buffers move alike"
        assert int(average.module.num_batches_tracked) == int(value), "counts are copied"
    return seen, module


def test_the_first_weights_are_forgotten_fast() -> None:
    seen, _ = moving(0.99, [1.0, 2.0, 3.0])
    second = 1 * 2 / 11 + 2 * 9 / 11
    assert seen[0] == 1.0
    assert abs(seen[1] - second) < 1e-6
    assert abs(seen[2] - (second * 3 / 12 + 3 * 9 / 12)) < 1e-6


def test_later_the_decay_is_what_was_asked_for() -> None:
    seen, _ = moving(0.5, [0.0] * 30 + [1.0, 1.0])
    assert seen[-2:] == [0.5, 0.75]


def test_the_module_itself_is_left_alone() -> None:
    _, module = moving(0.9, [1.0, 5.0])
    assert float(module.weight) == 5.0
