"""``prune-unstructured``: as many zeros as asked for, where they were asked for."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from passes_bench import Context
from pruning_bench import Opened
from pydantic import ValidationError
from torch import nn

import edgeopt.passes
from edgeopt.passes.prune_unstructured_torch import PruneUnstructured
from edgeopt.schema.errors import PassError

Open = Callable[[str], Opened]


def weights(opened: Opened) -> dict[str, torch.Tensor]:
    return {
        path: layer.weight.detach()
        for path, layer in opened.load().named_modules()
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)
    }


def zeros(tensors: dict[str, torch.Tensor]) -> float:
    total = sum(t.numel() for t in tensors.values())
    return sum(int((t == 0).sum()) for t in tensors.values()) / total


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_the_smallest_weights_become_zeros(
    scope: Any,
    opened: Open,
    fresh_digest: Callable[[Path, dict[str, np.ndarray]], tuple[str, str]],
) -> None:
    source = opened("imu")
    made = source.run(PruneUnstructured(sparsity=0.8, scope=scope))
    before, after = weights(source), weights(made)
    assert zeros(after) == pytest.approx(0.8, abs=1e-3)
    each = {path: float((t == 0).float().mean()) for path, t in after.items()}
    assert (max(each.values()) - min(each.values()) < 0.02) == (scope == "layer")
    for path, old in before.items():
        gone = after[path] == 0
        assert torch.equal(after[path][~gone], old[~gone]), "what stays is as it was"
        assert old[gone].abs().max() <= old[~gone].abs().min()
    assert "edits.json" not in made.files()
    assert made.inspect().macs == source.inspect().macs
    here, there = fresh_digest(made.folder, made.arrays)
    assert here == there
    packed = [len(gzip.compress(o.files()["weights.safetensors"])) for o in (source, made)]
    plain = [len(o.files()["weights.safetensors"]) for o in (source, made)]
    assert plain[0] == plain[1] and packed[1] < 0.4 * packed[0]


def test_two_of_four_neighbours_stay(opened: Open) -> None:
    source = opened("imu")
    made = source.run(PruneUnstructured(pattern="2:4"))
    for path, values in weights(made).items():
        inputs = values.movedim(1, -1)
        if inputs.shape[-1] % 4:
            assert path == "stem.0" and (values != 0).all(), "six inputs stay whole"
            continue
        assert ((inputs.reshape(-1, 4) != 0).sum(1) == 2).all()


def test_kept_layers_stay_whole(opened: Open) -> None:
    made = opened("imu").run(PruneUnstructured(sparsity=0.5, keep=("head", "stages.0")))
    after = weights(made)
    assert (after["head"] != 0).all() and (after["stages.0.conv2"] != 0).all()
    assert zeros({"stages.2.conv2": after["stages.2.conv2"]}) > 0.3


def test_pruned_weights_stay_zeros_when_channels_go(opened: Open) -> None:
    from edgeopt.passes.prune_structured_torch import PruneStructured

    both = opened("imu").run(PruneStructured(ratio=0.5)).run(PruneUnstructured(sparsity=0.5))
    assert zeros(weights(both)) == pytest.approx(0.5, abs=1e-3)
    assert len(json.loads(both.files()["edits.json"])) == 1


@pytest.mark.parametrize(
    "fields", [{}, {"sparsity": 0.5, "pattern": "2:4"}, {"sparsity": 1.0}, {"pattern": "1:4"}]
)
def test_one_goal_is_asked_for(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PruneUnstructured(**fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sparsity": 0.5, "keep": ("stem", "stages", "head")}, "no convolution or linear"),
        ({"sparsity": 0.5, "keep": ("tail",)}, "keep names 'tail'"),
        ({"pattern": "2:4", "keep": ("stages", "head")}, "multiple of four"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], said: str, opened: Open) -> None:
    with pytest.raises(PassError) as caught:
        opened("imu").run(PruneUnstructured(**fields))
    assert said in caught.value.what


def test_an_exported_program_is_refused(opened: Open) -> None:
    source = opened("imu")
    (source.folder / "model.json").write_text(json.dumps({"program": "program.pt2"}))
    context = Context(source.root, None, {}, parent=source.folder)  # type: ignore[arg-type]
    with pytest.raises(PassError, match="no factory"):
        PruneUnstructured(sparsity=0.5).run(None, context)


def test_by_hand_attention_loses_weights_too() -> None:
    module = nn.MultiheadAttention(16, 4, batch_first=True)

    class Self(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = module

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.attention(x, x, x)[0]

    step = edgeopt.passes.PruneUnstructured(sparsity=0.5, scope="layer")
    made = step(Self(), torch.randn(2, 5, 16))
    for values in (made.attention.in_proj_weight, made.attention.out_proj.weight):
        assert float((values == 0).float().mean()) == 0.5
    assert (module.in_proj_weight != 0).all(), "the caller's stays"
