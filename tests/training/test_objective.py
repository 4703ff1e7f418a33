from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.training import Samples
from edgeopt.training.objective import (
    channels_last,
    lay_back,
    lay_out,
    objective_of,
    weights_digest,
)

IMAGES = Samples({"input": np.zeros((3, 2, 8, 8), np.float32)})


def arranged(module: nn.Module) -> bool:
    weight: Any = next(p for p in module.parameters() if p.ndim == 4)
    return bool(weight.is_contiguous(memory_format=torch.channels_last))


def convolutions(*more: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, 4, 3), *more)


def test_networks_on_images_are_arranged_and_laid_back() -> None:
    module = convolutions(nn.BatchNorm2d(4)).train()
    module[1].eval()
    before = {name: values.clone() for name, values in module.state_dict().items()}
    assert lay_out(module, IMAGES) and arranged(module)
    assert [m.training for m in module.modules()] == [True, True, False], "modes stay"
    assert all(torch.equal(v, before[n]) for n, v in module.state_dict().items()), "figures, too"
    lay_back(module)
    assert not arranged(module)


class Views(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(len(x), -1)


@pytest.mark.parametrize("beside", [Views(), nn.GroupNorm(2, 4)], ids=["view", "group norm"])
def test_networks_that_rely_on_the_other_order_stay_as_they_are(beside: nn.Module) -> None:
    module = convolutions(beside)
    assert not lay_out(module, IMAGES)
    assert not arranged(module) and module.training


def test_what_is_no_image_is_not_arranged() -> None:
    rows = Samples({"input": np.zeros((3, 2), np.float32)})
    assert not lay_out(nn.Sequential(nn.Linear(2, 2)), rows)
    assert not lay_out(nn.Sequential(nn.Conv3d(2, 2, 1)), IMAGES), "weights of five axes"
    x = torch.zeros(2, 3)
    assert channels_last(x) is x
    assert channels_last(torch.zeros(2, 3, 4, 4)).is_contiguous(memory_format=torch.channels_last)


def test_module_and_loss_train_as_one() -> None:
    class Weighted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, module: Any, batch: Any) -> Any:
            return self.scale * module(batch).sum()

    module = nn.Linear(2, 1)
    objective = objective_of(module, Weighted())
    assert len(list(objective.parameters())) == 3
    assert objective(torch.ones(1, 2)) == 2 * module(torch.ones(1, 2)).sum()
    plain = objective_of(module, lambda model, batch: model(batch).sum())
    assert len(list(plain.parameters())) == 2


def test_a_digest_is_of_all_weights_and_buffers_and_no_layout() -> None:
    torch.manual_seed(0)
    module = convolutions(nn.BatchNorm2d(4))
    first = weights_digest(module)
    assert weights_digest(module.to(memory_format=torch.channels_last)) == first
    module[1].running_mean[0] += 1
    moved = weights_digest(module)
    with torch.no_grad():
        module[0].weight[0, 0, 0, 0] += 1
    assert len({first, moved, weights_digest(module), weights_digest(module.double())}) == 4
