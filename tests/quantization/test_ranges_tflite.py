"""Static INT8 in TFLite takes the extremes of all calibration samples, whatever their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tflite_networks import Network, answers, applied, quantization_of, sqnr_db

from edgeopt.passes.quantize_int8_tflite import QuantizeInt8
from edgeopt.schema.errors import DataError

pytestmark = pytest.mark.extras

STATIC = QuantizeInt8(scheme="static")
SCHEMES = ("static", "static-int8-io")


def loud_and_quiet(n: int, *shape: int) -> np.ndarray:
    """Samples as recordings and photographs are: each of a loudness of its own."""
    rng = np.random.default_rng(3)
    gains = np.exp(rng.normal(size=(n, *(1 for _ in shape))))
    return (rng.normal(size=(n, *shape)) * gains).astype(np.float32)


def network() -> bytes:
    """A convolution, a depthwise one, constants between them, and a linear layer's scores."""
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    net = Network(1, 6, 6, 3)
    y = net.layer("CONV_2D", 0, drawn(8, 3, 3, 3), drawn(8))
    y = net.add("ADD", [y, net.constant("shift", drawn(1, 1, 1, 8))], [1, 4, 4, 8])
    y = net.layer("DEPTHWISE_CONV_2D", y, drawn(1, 3, 3, 8), drawn(8))
    y = net.add("MUL", [y, net.constant("gain", drawn(1, 1, 1, 8))], [1, 2, 2, 8])
    return net.packed(net.layer("CONV_2D", y, drawn(5, 2, 2, 8), drawn(5)))


def regression() -> bytes:
    """One value a sample, between about 9,000 and 34,000."""
    rng = np.random.default_rng(0)
    net = Network(1, 8)
    weight = rng.normal(0, 0.3, (16, 8)).astype(np.float32)
    y = net.layer("FULLY_CONNECTED", 0, weight, np.zeros(16, np.float32))
    last = rng.normal(0, 400, (1, 16)).astype(np.float32)
    return net.packed(net.layer("FULLY_CONNECTED", y, last, np.array([2e4], np.float32)))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_order_of_samples_makes_no_other_file(tmp_path: Path, scheme: str) -> None:
    """Guards that the file depends on which samples there are and not on which comes last."""
    step, samples = QuantizeInt8(scheme=scheme), loud_and_quiet(24, 6, 6, 3)
    order = np.random.default_rng(1).permutation(len(samples))
    made = [applied(step, network(), tmp_path, x) for x in (samples, samples[order])]
    assert made[0] == made[1]


def test_ranges_hold_every_calibration_sample(tmp_path: Path) -> None:
    """Guards that the input's grid and the output's end where the samples' extremes do."""
    samples = loud_and_quiet(24, 8)
    content = regression()
    made = quantization_of(
        applied(QuantizeInt8(scheme="static-int8-io"), content, tmp_path, samples)
    )
    for name, values in (("x", samples), ("y1", answers(content, samples))):
        scale, zero_point = (float(part[0]) for part in made[name])
        low, high = min(float(values.min()), 0), max(float(values.max()), 0)
        assert (high - low) / 255 == pytest.approx(scale, rel=1e-6)
        assert zero_point == np.rint(-128 - low / scale)


@pytest.mark.parametrize("delegated", [True, False], ids=["xnnpack", "built-in"])
@pytest.mark.parametrize(
    ("content", "shape", "least_db"),
    [(network(), (6, 6, 3), 18), (regression(), (8,), 33)],  # averaged: 1 and 19 dB
    ids=["convolutions", "regression"],
)
def test_calibration_samples_are_not_clipped(
    tmp_path: Path, content: bytes, shape: tuple[int, ...], least_db: float, delegated: bool
) -> None:
    """Guards the accuracy on the very samples whose extremes were read."""
    samples = loud_and_quiet(64, *shape)
    made = applied(STATIC, content, tmp_path, samples)
    want, got = (answers(c, samples, delegated=delegated) for c in (content, made))
    assert sqnr_db(want, got) > least_db


def test_one_loud_sample_among_quiet_ones_is_in_the_range(tmp_path: Path) -> None:
    """Guards a rare extreme, which an average of all samples all but forgets."""
    samples = np.full((64, 8), 0.01, np.float32)
    samples[10] = 10
    found = quantization_of(
        applied(QuantizeInt8(scheme="static-int8-io"), regression(), tmp_path, samples)
    )
    assert float(found["x"][0][0]) == pytest.approx(10 / 255, rel=1e-6)


def dead(kind: str) -> bytes:
    """A network with a tensor that is 0 for all samples, by a layer's ReLU or a sum's."""
    rng = np.random.default_rng(0)
    weight, relu = rng.normal(0, 0.3, (8, 8)).astype(np.float32), {"fusedActivationFunction": 1}
    net = Network(1, 8)
    low = np.full(8, -100, np.float32)
    if kind == "layer":
        y = net.layer("FULLY_CONNECTED", 0, weight, low)
        net.graph.operators[-1].builtinOptions.fusedActivationFunction = 1
    else:
        y = net.add("ADD", [0, net.constant("low", low[None])], [1, 8], **relu)
    y = net.layer("FULLY_CONNECTED", y, weight, np.linspace(-1, 2, 8, dtype=np.float32))
    return net.packed(net.add("ADD", [y, 0], [1, 8]))


@pytest.mark.parametrize("kind", ["layer", "sum"])
@pytest.mark.parametrize("size", [1, 1e-3])
def test_what_is_zero_for_all_samples_has_the_range_of_what_it_is_made_of(
    tmp_path: Path, kind: str, size: float
) -> None:
    """Guards dead tensors: steps of 4e-12 make files that abort LiteRT while it loads them."""
    samples = np.random.default_rng(0).normal(0, size, (32, 8)).astype(np.float32)
    found = quantization_of(applied(STATIC, dead(kind), tmp_path, samples))
    assert float(found["y0"][0][0]) == pytest.approx(np.abs(samples).max() / 255, rel=1e-5)


@pytest.mark.parametrize("kind", ["layer", "sum"])
@pytest.mark.parametrize("size", [1, 1e-3])
def test_files_with_dead_layers_load_and_answer(tmp_path: Path, kind: str, size: float) -> None:
    """Guards against ranges that LiteRT refuses to load or aborts on, and the layers behind."""
    samples = np.random.default_rng(0).normal(0, size, (32, 8)).astype(np.float32)
    content = dead(kind)
    made = applied(STATIC, content, tmp_path, samples)
    for delegated in (True, False):
        want, got = (answers(c, samples, delegated=delegated) for c in (content, made))
        assert sqnr_db(want, got) > 38


@pytest.mark.parametrize("count", [1, 4])
def test_an_input_that_is_zero_throughout_is_refused(tmp_path: Path, count: int) -> None:
    """Guards against a step so small that whatever comes later saturates to nothing."""
    step = QuantizeInt8(scheme="static-int8-io")
    with pytest.raises(DataError, match="'x' is always 0"):
        applied(step, regression(), tmp_path, np.zeros((count, 8), "f4"))


@pytest.mark.parametrize("learned", [False, True])
def test_a_dead_layer_in_training_has_a_range_too(tmp_path: Path, learned: bool) -> None:
    """Guards files with trained ranges: LiteRT must load those with dead layers as well."""
    import torch
    from qat_parts import observed, run_tflite, to_tflite

    torch.manual_seed(0)
    layers = [torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10)]
    network = torch.nn.Sequential(*layers).eval()
    torch.nn.init.constant_(layers[0].bias, -100)
    samples = loud_and_quiet(16, 8)
    made = observed(network, "input", samples, scheme="int8", learned=learned)
    answered = run_tflite(to_tflite(made, tmp_path / "tflite"), samples)
    assert made.steps_apart(answered) < 1.01
    with torch.no_grad():
        assert sqnr_db(network(torch.from_numpy(samples)).numpy(), answered) > 38
