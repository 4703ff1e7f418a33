"""INT8 layers in ONNX whose biases dwarf their weights: bias and sum of products fit in 32 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from passes_bench import Context

from edgeopt.formats import format_named
from edgeopt.passes.quantize_int8_onnx import QuantizeInt8
from edgeopt.schemes import SCHEMES

Array = np.ndarray
SUM = 1024  # products


def one_layer(kind: str, weight: Array, bias: Array) -> onnx.ModelProto:
    """A Gemm, a Conv or a ConvTranspose over one sample, opset 18."""
    sizes = {"Gemm": [weight.shape[-1]], "Conv": [*weight.shape[1:2], 2, 2],
             "ConvTranspose": [weight.shape[0], 2, 2]}[kind]  # fmt: skip
    given = [len(bias)] if kind == "Gemm" else [len(bias), 2, 2]
    node = helper.make_node(
        kind, ["x", "w", "b"], ["y"], **({"transB": 1} if kind == "Gemm" else {})
    )
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "net",
        [info("x", TensorProto.FLOAT, [1, *sizes])],
        [info("y", TensorProto.FLOAT, [1, *given])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def answers(model: onnx.ModelProto, samples: Array) -> Array:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"x": x[np.newaxis]})[0] for x in samples])


def quantized_db(model: onnx.ModelProto, samples: Array, folder: Path, **fields: object) -> float:
    """Signal over noise of the INT8 model in ONNX Runtime's integer kernels."""
    onnx_format = format_named("onnx")
    for name in ("in", "rough"):
        (folder / name).mkdir(parents=True)
    onnx_format.save(model, folder / "in")
    step = QuantizeInt8.model_validate({"scheme": "u8s8", "float_stem": False, **fields})
    context = Context(folder / "rough", onnx_format.describe(folder / "in"), {"x": samples})
    made = step.run(onnx_format.load(folder / "in"), context)
    want, got = answers(model, samples), answers(made, samples)
    noise = float(np.square(want.astype(np.float64) - got).mean()) or 1e-300
    return 10 * float(np.log10(np.square(want.astype(np.float64)).mean() / noise))


def brimful(kind: str, steps: float) -> tuple[onnx.ModelProto, Array]:
    """A layer whose products add up to one sign, with a bias of so many steps; and samples."""
    shape = {"Gemm": (2, SUM), "Conv": (2, SUM, 1, 1), "ConvTranspose": (SUM, 2, 1, 1)}[kind]
    sizes = (SUM,) if kind == "Gemm" else (SUM, 2, 2)
    samples = np.abs(np.random.default_rng(0).normal(size=(8, *sizes))).astype(np.float32)
    step = float(samples.max()) / 255 * 1e-3 / 127
    bias = np.full(2, step * steps, np.float32)
    return one_layer(kind, np.full(shape, 1e-3, np.float32), bias), samples


@pytest.mark.parametrize("per_channel", [True, False], ids=["by-channel", "by-tensor"])
@pytest.mark.parametrize("times", [1, 4, 16])
@pytest.mark.parametrize("kind", ["Gemm", "Conv"])
def test_a_bias_at_the_end_of_32_bits_leaves_room_for_the_sum(
    tmp_path: Path, kind: str, times: int, per_channel: bool
) -> None:
    """Guards sums that wrap around and change sign once products come to a bias that just fits."""
    model, samples = brimful(kind, (2.0**31 - 2.0**18) * times)
    assert quantized_db(model, samples, tmp_path, per_channel=per_channel) > 40


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("kind", ["Gemm", "Conv", "ConvTranspose"])
def test_a_bias_that_dwarfs_its_weights_is_kept(tmp_path: Path, kind: str, scheme: str) -> None:
    """Guards what ONNX Runtime's quantizer enlarges by itself, in each scheme."""
    shape = {"Gemm": (2, 8), "Conv": (2, 8, 1, 1), "ConvTranspose": (8, 2, 1, 1)}[kind]
    rng = np.random.default_rng(0)
    weight = (rng.normal(size=shape) * 1e-6).astype(np.float32)
    model = one_layer(kind, weight, np.array([5, -4.5], np.float32))
    sizes = (8,) if kind == "Gemm" else (8, 2, 2)
    samples = rng.normal(size=(8, *sizes)).astype(np.float32)
    assert quantized_db(model, samples, tmp_path, scheme=scheme) > 40
