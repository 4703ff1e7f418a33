"""Ranges of activations that leave out what is rare, from ONNX Runtime's histograms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime.quantization import CalibrationMethod
from onnxruntime.quantization.calibrate import create_calibrator

from edgeopt.quantization.calibration import Reader

CHUNK = 16  # batches whose values are held at once
METHODS = {
    "percentile": CalibrationMethod.Percentile,  # its own: 99.999% of the values
    "entropy": CalibrationMethod.Entropy,
    "mse": CalibrationMethod.Percentile,  # for its histogram alone
}
BINS = 2048  # between the largest value and its negative
STEPS = 255
SHARES = np.linspace(1.0, 0.3, 29)  # of either end of a range that are tried
Array = np.ndarray[Any, Any]
Feed = Mapping[str, Any]


def ranges_found(
    file: Path, feeds: Iterable[Feed], method: str, workdir: Path
) -> dict[str, tuple[float, float]]:
    """Lowest and highest value to tell apart, by tensor.

    ``percentile`` leaves out the rarest values; ``entropy`` takes the range whose 8-bit histogram
    diverges least from that of the values (Migacz, 8-bit inference with TensorRT, 2017); ``mse``
    the one with the least mean squared error. Raises what ONNX Runtime raises.
    """
    options = {"num_bins": BINS} if METHODS[method] is CalibrationMethod.Percentile else {}
    calibrator = create_calibrator(
        file,
        None,
        augmented_model_path=str(workdir / "augmented.onnx"),
        calibrate_method=METHODS[method],
        extra_options={"symmetric": False, **options},
    )
    for chunk in _chunks(feeds):
        calibrator.collect_data(Reader(chunk))
    if method != "mse":
        found = calibrator.compute_data().items()
        ranges = {name: data.range_value for name, data in found}
        return {name: (float(low), float(high)) for name, (low, high) in ranges.items()}
    return {
        name: least_error(hist, edges, float(low), float(high))
        for name, (hist, edges, low, high, *_) in calibrator.collector.histogram_dict.items()
    }


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
