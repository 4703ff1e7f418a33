"""Passes called in a user's own script: odd networks, and mistakes that are told of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edgeopt.formats.torch.module import macs
from edgeopt.passes import Distill, PruneGradual, PruneStructured, PruneUnstructured, Qat
from edgeopt.schema.errors import DataError, PassError

pytestmark = pytest.mark.extras
SHORT: dict[str, Any] = {"steps": 3, "batch": 16, "lr": 1e-6}


def images(count: int = 96) -> tuple[np.ndarray, np.ndarray]:
    made = np.random.default_rng(0)
    return made.normal(size=(count, 3, 8, 8)).astype("float32"), made.integers(0, 5, count)


class Net(nn.Module):
    """Convolution, something a test says, convolution, linear layer."""

    def __init__(self, between: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.h, self.between = nn.Linear(16, 5), between

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.h(functional.relu(self.b(self.between(self.a(x)))).mean((2, 3)))


class Viewed(nn.Module):
    """Relies on channels first in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.h = nn.Conv2d(3, 16, 3, padding=1), nn.Linear(16 * 64, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.h(torch.relu(self.a(x)).view(x.size(0), -1))


def part_scaled(y: torch.Tensor) -> torch.Tensor:
    y[:, :8].mul_(-3.0)
    return y


def whole_after_view(y: torch.Tensor) -> torch.Tensor:
    flat = y.flatten(1)
    functional.relu(y, inplace=True)
    return y + flat.reshape(y.shape)


def shuffled(y: torch.Tensor) -> torch.Tensor:
    b, c, h, w = y.shape
    return y.view(b, 2, c // 2, h, w).transpose(1, 2).contiguous().view(b, c, h, w)


@pytest.mark.parametrize("between", [part_scaled, whole_after_view])
def test_a_write_into_a_view_is_refused_with_its_line(between: Any) -> None:
    with pytest.raises(PassError, match="write in place") as raised:
        Qat(**SHORT)(Net(between), images())
    assert "test_by_hand.py" in f"{raised.value.what} {raised.value.where}"


@pytest.mark.parametrize("between", [shuffled, lambda y: functional.relu(y, inplace=True)])
def test_quantization_answers_as_the_module_did(between: Any) -> None:
    net, (x, y) = Net(between).eval(), images()
    made = Qat(**SHORT)(net, (x, y)).eval()
    with torch.no_grad():
        before, after = net(torch.from_numpy(x)), made(torch.from_numpy(x))
    assert (before - after).abs().max() < 0.1 * before.abs().max()


@pytest.mark.parametrize(
    "step", [Distill(**SHORT), Qat(**SHORT), PruneGradual(sparsity=0.5, **SHORT)]
)
def test_a_network_that_views_what_a_convolution_gives_trains(step: Any) -> None:
    assert isinstance(step(Viewed(), images()), nn.Module)


def test_attention_trains_with_quantization() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.i, self.h = nn.Linear(12, 16), nn.Linear(16, 5)
            self.at = nn.MultiheadAttention(16, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.i(x)
            return self.h(self.at(y, y, y)[0].mean(1))

    x = np.random.default_rng(0).normal(size=(64, 7, 12)).astype("float32")
    net = Attends().eval()
    made = Qat(**SHORT)(net, (x, np.arange(64) % 5)).eval()
    with torch.no_grad():
        gap = (net(torch.from_numpy(x)) - made(torch.from_numpy(x))).abs().max()
    assert gap < 0.1


def test_inputs_keep_the_order_of_forward() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.u, self.v = nn.Linear(20, 5), nn.Linear(20, 5)

        def forward(self, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            return self.u(u) - self.v(v)

    made = np.random.default_rng(0)
    data = {name: made.normal(size=(64, 20)).astype("float32") for name in ("v", "u")}
    net = Two().eval()
    quantized = Qat(**SHORT)(net, (data, np.arange(64) % 5)).eval()
    u, v = torch.from_numpy(data["u"]), torch.from_numpy(data["v"])
    with torch.no_grad():
        assert (quantized(u, v) - net(u, v)).abs().max() < 0.1 * net(u, v).abs().max()


def test_what_is_quantized_is_neither_trained_nor_pruned_again() -> None:
    quantized = Qat(**SHORT)(Net(nn.ReLU()), images())
    for step in (
        Qat(**SHORT),
        Distill(**SHORT),
        PruneStructured(macs=0.5),
        PruneUnstructured(sparsity=0.5),
    ):
        with pytest.raises(PassError, match="quantized"):
            step(quantized, images())


def test_a_checkpoint_is_not_gone_on_from_for_other_weights_or_data(tmp_path: Path) -> None:
    x, y = images()
    first = Distill(steps=4, batch=16)(Net(nn.ReLU()), (x, y), checkpoints=tmp_path)
    again = Distill(steps=4, batch=16)(Net(nn.ReLU()), (x, y), checkpoints=str(tmp_path))
    other = Distill(steps=4, batch=16)(Net(nn.ReLU()), (x * 2, y), checkpoints=tmp_path)
    assert torch.equal(first.h.weight, again.h.weight)
    assert not torch.equal(first.h.weight, other.h.weight)


def test_a_teacher_may_name_its_inputs_otherwise() -> None:
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    assert isinstance(Distill(**SHORT)(Net(nn.ReLU()), images(), teacher=teacher), nn.Module)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.full(96, -1), "label -1 has no score"),
        (np.zeros((96, 1), np.int64), "one number a sample"),
        (np.zeros(50, np.int64), "different lengths"),
    ],
)
def test_labels_that_do_not_fit_are_named(labels: np.ndarray, said: str) -> None:
    with pytest.raises((PassError, DataError), match=said):
        Distill(**SHORT)(Net(nn.ReLU()), (images()[0], labels))


def test_taylor_looks_through_frozen_layers_and_names_labels_without_a_score() -> None:
    module, step = (
        Net(nn.ReLU()).requires_grad_(False),
        PruneStructured(ratio=0.5, importance="taylor"),
    )
    assert isinstance(step(module, images()), nn.Module)
    assert not any(p.requires_grad for p in module.parameters())
    with pytest.raises(PassError, match="label 7 has no score"):
        step(module, (images()[0], np.full(96, 7)))


def test_a_layer_is_not_emptied() -> None:
    with pytest.raises(PassError, match="keep none of its"):
        PruneUnstructured(sparsity=0.9999, scope="layer")(Net(nn.ReLU()))


def test_attention_maps_need_positions() -> None:
    step = Distill(method="attention", layers={"h": "h"}, **SHORT)
    with pytest.raises(PassError, match="'h'"):
        step(Net(nn.ReLU()), images())


def test_fused_attention_and_recurrent_layers_are_counted() -> None:
    class Fused(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.scaled_dot_product_attention(x, x, x)

    assert macs(Fused(), {"x": torch.randn(1, 4, 16, 8)}) == 2 * 4 * 16 * 16 * 8
    lstm = nn.LSTM(3, 64, batch_first=True)
    assert macs(lstm, {"input": torch.randn(1, 64, 3)}) == 64 * 4 * 64 * (3 + 64)


def test_a_split_that_no_pass_reads_is_named_and_the_test_split_left_alone() -> None:
    splits = {"train": images(), "validation": images(), "calibration": images(), "test": "unread"}
    assert isinstance(Distill(**SHORT)(Net(nn.ReLU()), splits), nn.Module)
    with pytest.raises(DataError, match="'trian'"):
        Distill(**SHORT)(Net(nn.ReLU()), {"trian": images(), "validation": images()})
    with pytest.raises(DataError, match="a str is no data"):
        Distill(**SHORT)(Net(nn.ReLU()), "images.npz")
