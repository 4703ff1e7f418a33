"""``prune-gradual``: zeros come while the network trains, and accuracy mostly stays."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch
from pruning_bench import MODELS
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import nn

import edgeopt.passes
from edgeopt.passes.prune_gradual_torch import PruneGradual
from edgeopt.schema.errors import PassError

QUICK: dict[str, Any] = {"sparsity": 0.8, "epochs": 3, "batch": 32, "lr": 0.02, "ema": 0.0}
Split = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def source() -> nn.Module:
    spec = importlib.util.spec_from_file_location("imu_net", MODELS / "imu" / "net.py")
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    module = made.resnet()
    module.load_state_dict(load_file(MODELS / "imu" / "source.safetensors"))
    return module.eval()


@pytest.fixture(scope="module")
def data() -> dict[str, Split]:
    with np.load(MODELS / "imu" / "imu.npz") as archive:
        return {
            split: (
                archive[f"{split}.signal"][:512].astype(np.float32) / 1000,
                archive[f"{split}.label"][:512].astype(np.int64),
            )
            for split in ("train", "validation")
        }


def accuracy(module: nn.Module, split: Split) -> float:
    with torch.no_grad():
        return float((module(torch.from_numpy(split[0])).argmax(1).numpy() == split[1]).mean())


def zeros(module: nn.Module) -> float:
    weights = [m.weight for m in module.modules() if isinstance(m, nn.Conv1d | nn.Linear)]
    return sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)


def test_zeros_come_while_it_trains_and_answers_stay_better_than_at_once(
    source: nn.Module, data: dict[str, Split]
) -> None:
    step = edgeopt.passes.PruneGradual(**QUICK)
    trained, again = (step(source, data, seed=1) for _ in range(2))
    at_once = edgeopt.passes.PruneUnstructured(sparsity=0.8)(source)
    assert zeros(trained) == pytest.approx(0.8, abs=1e-3)
    assert accuracy(trained, data["validation"]) > accuracy(at_once, data["validation"])
    states = trained.state_dict(), again.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert zeros(source) == 0.0, "the caller's stays"


def test_labels_are_needed(source: nn.Module, data: dict[str, Split]) -> None:
    with pytest.raises(PassError, match="trains on labels"):
        PruneGradual(**QUICK)(source, {split: signal for split, (signal, _) in data.items()})


def test_early_stopping_is_refused() -> None:
    with pytest.raises(ValidationError, match="before the zeros are there"):
        PruneGradual(**QUICK, patience=2)
