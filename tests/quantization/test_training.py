"""Quantization-aware training of a module: what is laid out, when it freezes, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edgeopt.agent import fakequant
from edgeopt.quantization.trained import TrainedGrid, TrainedLayer
from edgeopt.quantization.training import Schedule, quantization_trained, stems
from edgeopt.schema.errors import PassError

IMAGE = {"input": {"shape": ["batch", 3, 8, 8], "dtype": "float32"}}


def network(first: int = 4) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, first, 3), nn.ReLU(), nn.Conv2d(first, 4, 3), nn.BatchNorm2d(4), nn.Flatten(),
        nn.Linear(64, 3),
    ).eval()  # fmt: skip


def trained(module: nn.Module, **given: Any) -> tuple[Any, dict[str, Any]]:
    form = {
        "scheme": "u8s8", "float_stem": False, "learned": False, "momentum": 0.01,
        "observed": [{"input": torch.randn(4, 3, 8, 8)}], "train": lambda made: None, **given,
    }  # fmt: skip
    return quantization_trained(module, IMAGE, **form)


def test_first_convolutions_with_short_sums_are_stems() -> None:
    assert stems(fakequant.laid_out(network(), IMAGE, (), joined=False)) == ("0",)
    wide = nn.Sequential(nn.Conv2d(3, 4, 5), nn.Conv2d(4, 4, 3))
    assert stems(fakequant.laid_out(wide, IMAGE, (), joined=False)) == ()


def test_the_module_it_trains_is_on_grids_and_the_callers_stays() -> None:
    module, seen = network(), list[nn.Module]()
    before = {name: values.clone() for name, values in module.state_dict().items()}
    frozen, record = trained(module, train=seen.append)
    layers = [m for m in seen[0].modules() if isinstance(m, TrainedLayer)]
    assert len(layers) == 3 and all(layer.quantized for layer in layers)
    assert {m.phase for m in seen[0].modules() if isinstance(m, TrainedGrid)} == {"follow"}
    assert record["scheme"] == "u8s8" and record["float"] == []
    assert record["inputs"] == {"input": IMAGE["input"]}
    assert all(torch.equal(v, before[n]) for n, v in module.state_dict().items())
    x = torch.randn(2, 3, 8, 8)
    assert frozen(input=x).shape == (2, 3)


def test_a_stem_is_left_in_float_where_that_is_asked() -> None:
    _, record = trained(network(), float_stem=True)
    assert record["float"] == ["0"]


@pytest.mark.parametrize(("scheme", "largest"), [("u8s8", 127), ("u8s8-reduced", 64)])
def test_weights_lie_on_grids_of_the_schemes_bits(scheme: str, largest: int) -> None:
    frozen, _ = trained(network(), scheme=scheme)
    scales = fakequant.scales_of(frozen)
    state = frozen.state_dict()
    for name, scale in scales.items():
        weight = state[f"{name}.weight"]
        steps = weight / scale.reshape(-1, *(1 for _ in weight.shape[1:]))
        assert torch.allclose(steps, steps.round(), atol=1e-3)
        assert int(steps.abs().max().round()) == largest


@pytest.mark.parametrize(
    ("step", "phase", "batch_stats"),
    [(0, "follow", True), (4, "follow", True), (5, "follow", False), (8, "fixed", False)],
)
def test_norms_and_ranges_stop_moving_at_their_shares(
    step: int, phase: str, batch_stats: bool
) -> None:
    seen = list[nn.Module]()
    trained(network(), train=seen.append)
    Schedule(freeze_norms=0.5, freeze_ranges=0.8)(seen[0], step, 10)
    assert {m.phase for m in seen[0].modules() if isinstance(m, TrainedGrid)} == {phase}
    layers = [m for m in seen[0].modules() if isinstance(m, TrainedLayer)]
    assert {layer.batch_stats for layer in layers} == {batch_stats}


def test_a_module_that_has_nothing_to_quantize_says_what_holds_its_weights() -> None:
    with pytest.raises(PassError, match="no operator with weights could be quantized") as caught:
        trained(nn.Sequential(nn.PReLU(3)))
    assert "PReLU" in caught.value.what and "convolutions" in caught.value.hint
    alone = nn.Sequential(nn.Conv2d(3, 4, 3))
    with pytest.raises(PassError) as caught:
        trained(alone, float_stem=True)
    assert caught.value.hint == "say 'float_stem: false' to quantize it too"


def test_a_branch_on_values_is_refused_with_its_line() -> None:
    class Branches(nn.Module):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return input if input.sum() > 0 else -input

    with pytest.raises(PassError, match="torch cannot trace the module") as caught:
        trained(Branches())
    assert caught.value.where.startswith("test_training.py:")
    assert "torch.export" in caught.value.hint


def test_a_norm_without_statistics_cannot_be_folded() -> None:
    bare = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)).eval()
    with pytest.raises(PassError, match="keeps no running statistics to fold"):
        trained(bare)
