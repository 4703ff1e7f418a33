"""What runtimes execute of a small network: kernels, their precision and their products."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from passes_bench import network, samples

from edgeopt.formats import format_named
from edgeopt.formats.onnx.executed import steps_of, zeros
from edgeopt.models.conversion import FLOAT
from edgeopt.schema.errors import ModelError

MACS = 144 * 16 * 8 * 9 + 144 * 16 * 16 * 9 + 16 * 5  # two convolutions and a matrix


@pytest.mark.parametrize(
    "runtime", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.extras)]
)
def test_products_are_counted_as_they_ran(tmp_path: Path, runtime: str) -> None:
    onnx.save(network(batch=1), tmp_path / "model.onnx")
    steps = list(steps_of(runtime, tmp_path, {"x": samples(1)}))
    weighted = [step for step in steps if step.macs]
    assert sum(step.macs or 0 for step in weighted) == MACS
    assert {step.precision for step in weighted} == {FLOAT} and len(weighted) == 3


def test_a_batch_counts_each_of_its_samples(tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "model.onnx")
    steps = steps_of("onnxruntime", tmp_path, {"x": samples(3)})
    assert sum(step.macs or 0 for step in steps) == 3 * MACS


def test_nodes_of_one_name_are_told_apart(tmp_path: Path) -> None:
    model = network()
    for node in model.graph.node:
        node.name = "same"
    onnx.save(model, tmp_path / "model.onnx")
    before = (tmp_path / "model.onnx").read_bytes()
    steps = steps_of("onnxruntime", tmp_path, {"x": samples(1)})
    assert sum(step.macs or 0 for step in steps) == MACS
    assert (tmp_path / "model.onnx").read_bytes() == before


def test_a_runtime_that_nobody_can_ask_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="litert does not report what it executes"):
        list(steps_of("litert", tmp_path, {}))


def test_zeros_are_one_batch_of_what_is_taken(tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "model.onnx")
    (array,) = zeros(format_named("onnx").describe(tmp_path)).values()
    assert array.shape == (1, 8, 12, 12) and array.dtype == np.float32 and not array.any()
