"""INT8 layers whose biases dwarf their weights: a bias that needs more than 32 bits is no clip.

A quantized bias counts in steps of input scale times weight scale. Where weights are tiny, or a
channel is switched off, 32 bits of such steps do not reach the bias.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tflite_networks import Network, answers, applied, sqnr_db

from edgeopt.formats.tflite import files
from edgeopt.passes.quantize_int8_tflite import QuantizeInt8

pytestmark = pytest.mark.extras

SHAPES = {  # weight of a layer over 8 channels, with 2 to give or, depthwise, one for each
    "CONV_2D": (2, 1, 1, 8),
    "DEPTHWISE_CONV_2D": (1, 1, 1, 8),
    "FULLY_CONNECTED": (2, 8),
    "TRANSPOSE_CONV": (2, 1, 1, 8),
}


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)


def one_layer(kind: str, weight: np.ndarray, bias: np.ndarray) -> tuple[bytes, np.ndarray]:
    """A network of one layer, and samples for it."""
    shape = (8,) if kind == "FULLY_CONNECTED" else (3, 3, 8)
    net = Network(1, *shape)
    return net.packed(net.layer(kind, 0, weight, bias)), normal(32, *shape)


def biases(kind: str) -> np.ndarray:
    return np.resize(np.array([5, -4.5], np.float32), 8 if kind == "DEPTHWISE_CONV_2D" else 2)


def quantized_db(
    content: bytes, samples: np.ndarray, folder: Path, **fields: object
) -> list[float]:
    """Signal over noise of the INT8 file in XNNPACK and in LiteRT's own kernels."""
    step = QuantizeInt8.model_validate({"scheme": "static", **fields})
    made, want = applied(step, content, folder, samples), answers(content, samples)
    return [sqnr_db(want, answers(made, samples, delegated=d)) for d in (True, False)]


@pytest.mark.parametrize("per_channel", [True, False], ids=["by-channel", "by-tensor"])
@pytest.mark.parametrize("kind", SHAPES)
def test_a_bias_that_dwarfs_its_weights_is_kept(
    tmp_path: Path, kind: str, per_channel: bool
) -> None:
    """Guards each operator with an int32 bias, whichever granularity its weight has."""
    content, samples = one_layer(kind, normal(*SHAPES[kind]) * np.float32(1e-6), biases(kind))
    assert min(quantized_db(content, samples, tmp_path, per_channel=per_channel)) > 40


@pytest.mark.parametrize("kind", SHAPES)
def test_a_channel_of_zeros_gives_its_bias(tmp_path: Path, kind: str) -> None:
    """Guards channels that batch norm or pruning switched off, beside one that is in use."""
    weight = normal(*SHAPES[kind])
    weight[(Ellipsis, slice(1, None)) if kind == "DEPTHWISE_CONV_2D" else 1] = 0
    content, samples = one_layer(kind, weight, biases(kind))
    made, want = (
        answers(c, samples)
        for c in (applied(QuantizeInt8(scheme="static"), content, tmp_path, samples), content)
    )
    np.testing.assert_allclose(made, want, atol=0.08)


def test_a_bias_at_the_end_of_32_bits_leaves_room_for_the_sum(tmp_path: Path) -> None:
    """Guards the sum: a bias that just fits overflows once products are added to it."""
    net = Network(1, 1024)
    weight = np.full((1, 1024), 1e-3, np.float32)
    samples = np.abs(normal(32, 1024))
    scale = float(samples.max()) / 255 * 1e-3 / 127
    bias = np.array([scale * (2**31 - 2**20)], np.float32)
    content = net.packed(net.layer("FULLY_CONNECTED", 0, weight, bias))
    assert min(quantized_db(content, samples, tmp_path)) > 40


def test_layers_that_share_a_weight_both_keep_their_biases(tmp_path: Path) -> None:
    """Guards weights with two users, of which one alone has a bias that is too large."""
    net = Network(1, 8)
    weight = net.constant("shared", normal(8, 8) * np.float32(1e-3))
    y = net.layer("FULLY_CONNECTED", 0, weight, np.full(8, 1e5, np.float32))
    y = net.layer("FULLY_CONNECTED", y, weight, np.zeros(8, np.float32))
    content, samples = net.packed(y), normal(32, 8)
    assert min(quantized_db(content, samples, tmp_path)) > 35


def test_tensors_of_one_buffer_both_keep_their_biases(tmp_path: Path) -> None:
    """Guards converters that store equal weights once, under two tensors."""
    net = Network(1, 8)
    first = net.constant("first", normal(8, 8) * np.float32(1e-6))
    second = net.tensor("second", (8, 8), net.graph.tensors[first].buffer)
    y = net.layer("FULLY_CONNECTED", 0, first, np.zeros(8, np.float32))
    y = net.layer("FULLY_CONNECTED", y, second, biases("DEPTHWISE_CONV_2D"))
    content, samples = net.packed(y), normal(32, 8)
    assert min(quantized_db(content, samples, tmp_path)) > 40


def test_tiny_data_before_a_large_bias(tmp_path: Path) -> None:
    """Guards steps that are small for the data's sake rather than for the weight's."""
    content, samples = one_layer("CONV_2D", normal(2, 1, 1, 8), biases("CONV_2D"))
    assert min(quantized_db(content, samples * np.float32(1e-8), tmp_path)) > 40


def test_constants_after_a_layer_of_tiny_weights_are_kept(tmp_path: Path) -> None:
    """Guards biases that are operators of their own: buffers added to a layer's result."""
    net = Network(1, 3, 3, 8)
    y = net.layer("CONV_2D", 0, normal(2, 1, 1, 8) * np.float32(1e-6), np.zeros(2, np.float32))
    y = net.add("ADD", [y, net.constant("buffer", biases("CONV_2D").reshape(1, 1, 1, 2))],
                [1, 3, 3, 2])  # fmt: skip
    assert min(quantized_db(net.packed(y), normal(32, 3, 3, 8), tmp_path)) > 40


def test_a_bias_that_fits_changes_nothing(tmp_path: Path) -> None:
    """Guards ordinary layers: their weights keep the finest scale."""
    content, samples = one_layer("CONV_2D", normal(2, 1, 1, 8), biases("CONV_2D"))
    made = files.unpack(
        applied(QuantizeInt8(scheme="static"), content, tmp_path, samples), "the INT8 file"
    )
    tensors = {files.text(t.name): t for t in made.subgraphs[0].tensors}
    want = np.abs(normal(2, 1, 1, 8)).max(axis=(1, 2, 3)) / 127
    np.testing.assert_allclose(tensors["w0"].quantization.scale, want, rtol=1e-6)


@pytest.mark.parametrize("scheme", ["dynamic", "weight-only"])
def test_schemes_with_float_biases_keep_them(tmp_path: Path, scheme: str) -> None:
    """Guards that only integer biases can clip."""
    content, samples = one_layer(
        "CONV_2D", normal(2, 1, 1, 8) * np.float32(1e-6), biases("CONV_2D")
    )
    assert min(quantized_db(content, samples, tmp_path, scheme=scheme)) > 60
