"""Ranges of activations that leave out what is rare, from ONNX Runtime's histograms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

from edgeopt.quantization.calibration import Reader

OPS = sorted({*QLinearOpsRegistry, *QDQRegistry})  # whose inputs and outputs are quantized
CHUNK = 16  # batches whose values are held at once
METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,  # its own: 99.999% of the values
    "entropy": CalibrationMethod.Entropy,
    "mse": CalibrationMethod.Percentile,  # for its histogram alone
}
BINS = 2048  # between the largest value and its negative
STEPS = 255
SHARES = np.linspace(1.0, 0.3, 29)  # of either end of a range that are tried
Array = np.ndarray[Any, Any]
Feed = Mapping[str, Any]
Ranges = dict[str, tuple[float, float]]


def ranges_found(file: Path, feeds: Iterable[Feed], method: str, workdir: Path) -> Ranges:
    """Lowest and highest value to tell apart, by tensor; what a Relu or Clip alone reads has the
    range of its output.

    ``minmax`` takes the extremes. ``percentile`` leaves out the rarest values; ``entropy`` takes
    the range whose 8-bit histogram diverges least from that of the values (Migacz, 8-bit inference
    with TensorRT, 2017); ``mse`` the one with the least mean squared error. Raises what ONNX
    Runtime raises.
    """
    options = {"num_bins": BINS} if METHODS[method] is CalibrationMethod.Percentile else {}
    calibrator = create_calibrator(
        file,
        OPS,
        augmented_model_path=str(workdir / "augmented.onnx"),
        calibrate_method=METHODS[method],
        extra_options={"symmetric": False, **options},
    )
    for chunk in _chunks(feeds):
        calibrator.collect_data(Reader(chunk))
    if method == "mse":
        ranges = {
            name: least_error(hist, edges, float(low), float(high))
            for name, (hist, edges, low, high, *_) in calibrator.collector.histogram_dict.items()
        }
    else:
        ranges = _computed(calibrator)
    return _clipped(ranges, onnx.load(file, load_external_data=False))


def _computed(calibrator: Any) -> Ranges:
    found = {name: data.range_value for name, data in calibrator.compute_data().items()}
    return {name: (float(np.min(low)), float(np.max(high))) for name, (low, high) in found.items()}


def _clipped(ranges: Ranges, model: onnx.ModelProto) -> Ranges:
    """What is cut off right away needs no steps of its own."""
    read = Counter(name for node in model.graph.node for name in node.input)
    read.update(value.name for value in model.graph.output)
    for node in model.graph.node:
        alone = node.op_type in ("Relu", "Clip") and read[node.input[0]] == 1
        if alone and {node.input[0], node.output[0]} <= ranges.keys():
            ranges[node.input[0]] = ranges[node.output[0]]
    return ranges


def least_error(hist: Array, edges: Array, low: float, high: float) -> tuple[float, float]:
    """The range within ``low`` to ``high``, zero in it, with the least mean squared error.

    ``hist`` counts values between neighbouring ``edges``. A value within the range is off by the
    rounding to 255 steps, step^2 / 12 on the mean; one beyond by its distance.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    middle = (edges[1:] + edges[:-1]) / 2
    count = max(float(hist.sum()), 1.0)
    best = (np.inf, low, high)
    for a in SHARES if low < 0 else (1.0,):
        for b in SHARES if high > 0 else (1.0,):
            off = middle - np.clip(middle, a * low, b * high)
            step = (b * high - a * low) / STEPS
            error = float((hist * off**2).sum()) / count + step**2 / 12
            if error < best[0]:
                best = (error, float(a * low), float(b * high))
    return best[1:]


def _chunks(feeds: Iterable[Feed]) -> Iterator[list[Feed]]:
    waiting = iter(feeds)
    while chunk := list(islice(waiting, CHUNK)):
        yield chunk
