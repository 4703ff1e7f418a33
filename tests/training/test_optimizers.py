from __future__ import annotations

from typing import Any

import pytest
import torch

from edgeopt.schema.errors import PassError
from edgeopt.training import TrainingSettings
from edgeopt.training.optimizers import UNFIT, optimizer_of


def made(name: str, **fields: Any) -> torch.optim.Optimizer:
    settings = TrainingSettings(optimizer=name, lr=0.25, weight_decay=0.125, **fields)
    found: torch.optim.Optimizer = optimizer_of([torch.nn.Parameter(torch.ones(2))], settings)
    return found


@pytest.mark.parametrize("name", ["sgd", "SGD", "adamw", "AdamW", "RAdam", "rmsprop"])
def test_a_name_is_torch_s_own_in_any_spelling(name: str) -> None:
    optimizer = made(name)
    assert type(optimizer).__name__.lower() == name.lower()
    (group,) = optimizer.param_groups
    assert group["lr"] == 0.25 and group["weight_decay"] == 0.125


def test_momentum_is_nesterov_s_with_sgd_alone() -> None:
    (sgd,) = made("sgd", momentum=0.5).param_groups
    assert (sgd["momentum"], sgd["nesterov"]) == (0.5, True)
    assert made("sgd", momentum=0.0).param_groups[0]["nesterov"] is False
    (other,) = made("rmsprop", momentum=0.5).param_groups
    assert other["momentum"] == 0.5 and "nesterov" not in other


@pytest.mark.parametrize("name", [*UNFIT, "sgdd", ""])
def test_what_takes_no_step_a_batch_is_refused(name: str) -> None:
    with pytest.raises(PassError, match=f"no optimizer '{name}' that takes one step per batch"):
        made(name)


def test_the_nearest_name_is_offered() -> None:
    with pytest.raises(PassError) as caught:
        made("sgdd")
    assert caught.value.hint == "Did you mean 'sgd'?"
