"""Runs a pass as a worker does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from passes_bench import Context, Made, RunPass

from edgeopt.formats import format_named
from edgeopt.step import Pass


@pytest.fixture
def run_pass(tmp_path: Path) -> RunPass:
    """``run_pass(step, model, **arrays)``: what a worker does, checks included."""
    count = 0

    def run(step: Pass, model: onnx.ModelProto, **arrays: np.ndarray) -> Made:
        nonlocal count
        count += 1
        onnx_format = format_named("onnx")
        folders = [tmp_path / f"{count}-{name}" for name in ("in", "rough", "out")]
        for folder in folders:
            folder.mkdir()
        given, rough, out = folders
        onnx_format.save(model, given)
        before = onnx_format.describe(given)
        step.requires(before)
        made = step.run(onnx_format.load(given), Context(rough, before, arrays))
        onnx_format.save(made, out)
        after = onnx_format.describe(out)
        assert after.differs(step.effect(before)) == []
        (path,) = out.glob("*.onnx")
        loaded = onnx.load(path)
        onnx.checker.check_model(loaded, full_check=True)
        return Made(path, loaded, after)

    return run
