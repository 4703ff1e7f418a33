"""The module and each runtime answer alike, and the files hold the very numbers of the module."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from qat_parts import (
    INPUTS,
    U8S8,
    Quantized,
    observed,
    run_onnx,
    run_tflite,
    samples_of,
    source_of,
    to_onnx,
    to_tflite,
)

from edgeopt.agent import fakequant, traced
from edgeopt.agent.fakequant import FakeQuantize
from edgeopt.formats import format_named
from edgeopt.formats.tflite import files

pytestmark = pytest.mark.extras
COUNT = 300


@pytest.fixture(scope="module", params=["fashion_mnist", "imu"])
def shipped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Quantized:
    folder = source_of(request.param, tmp_path_factory.mktemp("source") / "torch")
    module = format_named("torch").load(folder)
    samples, _ = samples_of(request.param, "validation", COUNT)
    outputs = 10 if request.param == "fashion_mnist" else 7
    return observed(module, INPUTS[request.param][0], samples, outputs=outputs)


@pytest.fixture(scope="module")
def onnx_file(shipped: Quantized, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return to_onnx(shipped, tmp_path_factory.mktemp("exported") / "onnx")


@pytest.fixture(scope="module")
def tflite(shipped: Quantized, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return to_tflite(shipped, tmp_path_factory.mktemp("exported") / "tflite")


def test_onnx_runtime_answers_within_one_step(shipped: Quantized, onnx_file: Path) -> None:
    answers, ran = run_onnx(onnx_file, shipped.samples)
    assert shipped.steps_apart(answers) < 1.01
    assert np.mean(np.abs(answers - shipped.outputs()) > shipped.step / 2) < 0.05
    assert ran["QLinearConv"] == 9 and ran["QLinearAdd"] == 3 and ran["QGemm"] == 1
    assert not ran["Conv"] and not ran["FusedConv"], "all in integers"


def test_litert_answers_within_one_step(shipped: Quantized, tflite: bytes) -> None:
    answers = run_tflite(tflite, shipped.samples)
    assert shipped.steps_apart(answers) < 1.01
    assert np.mean(np.abs(answers - shipped.outputs()) > shipped.step / 2) < 0.05
    model = files.unpack(tflite, "")
    ran = Counter(name for name, _ in files.operators(model))
    assert ran["QUANTIZE"] == ran["DEQUANTIZE"] == 1, "no float in between"


def test_onnx_holds_the_numbers_of_the_module(shipped: Quantized, onnx_file: Path) -> None:
    graph = onnx.load(onnx_file).graph
    held = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    written = [
        (held[n.input[1]].item(), held[n.input[2]].item())
        for n in graph.node
        if n.op_type == "QuantizeLinear"
    ]
    grids = [m for m in shipped.frozen.modules() if isinstance(m, FakeQuantize)]
    assert written == [(g.scale.item(), g.zero_point.item()) for g in grids]
    weights = [held[n.input[0]] for n in graph.node if n.op_type == "DequantizeLinear"
               and n.input[0] in held and held[n.input[0]].dtype == np.int8]  # fmt: skip
    assert sum(w.size for w in weights) == sum(
        traced.attribute(shipped.frozen, f"{name}.weight").numel()
        for name in fakequant.scales_of(shipped.frozen)
    )


def test_tflite_holds_the_numbers_of_the_module(shipped: Quantized, tflite: bytes) -> None:
    model = files.unpack(tflite, "")
    tensors, types = model.subgraphs[0].tensors, files.schema().TensorType
    flowing = {
        (float(t.quantization.scale[0]), int(t.quantization.zeroPoint[0]) + 128)
        for t in tensors
        if t.type == types.INT8 and len(t.quantization.scale) == 1
    }
    grids = [m for m in shipped.frozen.modules() if isinstance(m, FakeQuantize)]
    assert flowing == {(g.scale.item(), g.zero_point.item()) for g in grids}
    written = {tuple(t.quantization.scale) for t in tensors
               if t.type == types.INT8 and len(t.quantization.scale) > 1}  # fmt: skip
    assert written == {tuple(s.numpy()) for s in fakequant.scales_of(shipped.frozen).values()}


@pytest.mark.long
def test_a_float_stem_stays_float_in_both(tmp_path: Path) -> None:
    module = format_named("torch").load(source_of("fashion_mnist", tmp_path / "source"))
    samples, _ = samples_of("fashion_mnist", "validation", 100)
    made = observed(module, "image", samples, float_stem=True)
    answers, ran = run_onnx(to_onnx(made, tmp_path / "onnx"), samples)
    assert made.steps_apart(answers) < 1.01
    assert ran["QLinearConv"] == 8
    assert made.steps_apart(run_tflite(to_tflite(made, tmp_path / "tflite"), samples)) < 1.01


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["s8s8", "u8s8-reduced"])
def test_other_schemes_answer_within_one_step(scheme: str, tmp_path: Path) -> None:
    module = format_named("torch").load(source_of("imu", tmp_path / "source"))
    samples, _ = samples_of("imu", "validation", COUNT)
    made = observed(module, "signal", samples, scheme=scheme, outputs=7)
    answers, _ = run_onnx(to_onnx(made, tmp_path / "onnx"), samples)
    assert made.steps_apart(answers) < 1.01
    largest = max(
        torch.round(traced.attribute(made.frozen, f"{name}.weight").flatten(1).T / scale)
        .abs()
        .max()
        for name, scale in fakequant.scales_of(made.frozen).items()
    )
    assert largest == (64 if scheme == "u8s8-reduced" else 127)


def test_the_float_network_is_not_far(shipped: Quantized) -> None:
    with torch.inference_mode():
        exact = shipped.source(**{shipped.name: torch.from_numpy(shipped.samples)}).numpy()
    same = (exact.argmax(1) == shipped.outputs().argmax(1)).mean()
    assert same > 0.97
    assert shipped.scheme == U8S8
