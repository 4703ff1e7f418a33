"""What ONNX Runtime executes between two INT8 convolutions, operator by operator.

By its own optimized graph: quantizers are moved through what only selects, moves or clips values,
or has an integer kernel; the others are float islands.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from passes_bench import RunPass, noise_db, onnx_runner, parsed

from edgeopt.formats import format_named
from edgeopt.passes.quantize_int8_onnx import QuantizeInt8

HELD = {
    "w1": (16, 8, 3, 3), "w2": (16, 16, 3, 3), "v": (16, 8, 3, 3), "u": (16, 16, 3, 3),
    "wt": (16, 16, 2, 2), "zero": np.float32(0), "six": np.float32(6),
    "scales": np.array([1, 1, 2, 2], np.float32), "pads": [0, 0, 1, 1, 0, 0, 1, 1], "s0": [1, 1],
    "s1": [7, 7], "axes": [2, 3], "gain": np.ones((16, 8, 8), np.float32),
    "flat": [0, 16, 64], "square": [0, 16, 8, 8],
}  # fmt: skip
NEAREST = 'mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"'
MOVED = {  # between tensors a and c
    "Clip": "c = Clip(a, zero, six)",
    "Relu": "c = Relu(a)",
    "Concat of one scale": "b = Conv<pads = [1, 1, 1, 1]>(x, v)\n c = Concat<axis = 1>(a, b)",
    "MaxPool": "c = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(a)",
    "AveragePool": "c = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(a)",
    "nearest Resize": f"c = Resize<{NEAREST}>(a, , scales)",
    "Transpose": "c = Transpose<perm = [0, 1, 3, 2]>(a)",
    "Pad": "c = Pad(a, pads)",
    "Slice": "c = Slice(a, s0, s1, axes)",
    "Reshape": "b = Reshape(a, flat)\n c = Reshape(b, square)",
    "two readers": "b = Relu(a)\n d = Conv<pads = [1, 1, 1, 1]>(b, u)\n c = Add(b, d)",
    "SiLU": "b = Sigmoid(a)\n c = Mul(a, b)",
}
ISLANDS = {
    "Resize": 'c = Resize<mode = "linear">(a, , scales)',
    "LayerNormalization": "c = LayerNormalization<axis = 1>(a, gain)",
    "ConvTranspose": "c = ConvTranspose<strides = [2, 2], kernel_shape = [2, 2]>(a, wt)",
    "Erf": "b = Erf(a)\n c = Mul(a, b)",
}


@pytest.fixture
def in_float(tmp_path: Path) -> Callable[[str], set[str]]:
    """``in_float(TEXT)``: the operators in float32 of a quantized network with it in its middle."""
    run: RunPass = onnx_runner(tmp_path)

    def found(text: str) -> set[str]:
        conv = "Conv<pads = [1, 1, 1, 1]>"
        body = f"a = {conv}(x, w1)\n {text}\n y = {conv}(c, w2)"
        words = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
        held = {name: value for name, value in HELD.items() if name in words}
        held["w2"] = (16, 32, 3, 3) if "Concat" in text else (16, 16, 3, 3)
        model = parsed(
            f"net (float[batch, 8, 8, 8] x) => (float[batch, 16, h, w] y) {{ {body} }}",
            opset=18, **held,
        )  # fmt: skip
        x = np.random.default_rng(0).normal(size=(40, 8, 8, 8)).astype(np.float32)
        made = run(QuantizeInt8(scheme="u8s8-safe", float_stem=False), model, x=x)
        assert noise_db(model, made, x) > 25
        folder = tmp_path / "read"
        folder.mkdir()
        shutil.copy(made.path, folder / "model.onnx")
        conversion = format_named("onnx").conversion(folder, "onnxruntime", {"x": x[:1]})
        assert conversion is not None and not conversion.note
        assert {op for each in conversion.islands for op in each.operators} == set(
            conversion.float_operators
        )
        return set(conversion.float_operators)

    return found


@pytest.mark.parametrize("text", MOVED.values(), ids=MOVED)
def test_quantizers_are_moved_through(text: str, in_float: Callable[[str], set[str]]) -> None:
    assert not in_float(text)


@pytest.mark.parametrize(("op", "text"), ISLANDS.items(), ids=ISLANDS)
def test_others_are_islands(op: str, text: str, in_float: Callable[[str], set[str]]) -> None:
    assert in_float(text) == {op}
