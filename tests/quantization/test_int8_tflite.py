"""INT8 TFLite with trained numbers: the file holds them, and says where it could not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from qat_parts import Quantized, observed, run_tflite, to_tflite
from torch import nn

from edgeopt.agent import fakequant
from edgeopt.agent.fakequant import FakeQuantize
from edgeopt.formats.tflite import files
from edgeopt.quantization.int8_tflite import Grid, marked


@pytest.fixture(scope="module")
def small() -> Quantized:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(128, 3)
    ).eval()
    samples = np.random.default_rng(0).normal(size=(16, 1, 8, 8)).astype(np.float32)
    return observed(module, "input", samples, scheme="int8", outputs=3)


def test_a_grid_reaches_from_its_lowest_code_to_its_highest() -> None:
    assert Grid(0.5, -128).ends == (0.0, 127.5)
    assert Grid(0.5, 0).ends == (-64.0, 63.5)


def test_a_marked_module_gives_each_point_beside_its_outputs(small: Quantized) -> None:
    module, points = marked(small.frozen)
    x = torch.from_numpy(small.samples)
    own, *extra = module(x)
    assert own.shape == (16, 3) and len(extra) == len(points)
    assert {p.layer for p in points if p.layer} == set(fakequant.scales_of(small.frozen))
    assert next(tuple(e.shape) for e in extra if e.ndim == 4) == (16, 8, 8, 1), "channels last"
    assert not any(isinstance(m, FakeQuantize) for m in module.modules())


def test_the_file_holds_the_trained_numbers_and_answers_as_the_module(
    small: Quantized, tmp_path: Path
) -> None:
    content = to_tflite(small, tmp_path / "made")
    model = files.unpack(content, "")
    tensors, types = model.subgraphs[0].tensors, files.schema().TensorType
    flowing = {
        (float(t.quantization.scale[0]), int(t.quantization.zeroPoint[0]) + 128)
        for t in tensors
        if t.type == types.INT8 and len(t.quantization.scale) == 1
    }
    grids = [m for m in small.frozen.modules() if isinstance(m, FakeQuantize)]
    assert flowing == {(g.scale.item(), g.zero_point.item()) for g in grids}
    assert small.steps_apart(run_tflite(content, small.samples)) < 1.01
    graph = model.subgraphs[0]
    assert len(graph.outputs) == 1, "no mark is left"
