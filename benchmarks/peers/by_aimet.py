"""AIMET for ONNX: https://quic.github.io/aimet-pages/releases/latest/techniques/ptq.html"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from aimet_onnx.cross_layer_equalization import equalize_model
from aimet_onnx.quantsim import QuantizationSimModel
from given import Feeds, made


def simulated(model: Any, feeds: Feeds, file: Path, **options: Any) -> None:
    sim = QuantizationSimModel(model, param_type="int8", activation_type="int8", **options)
    sim.compute_encodings(feeds)
    onnx.save(sim.to_onnx_qdq(prequantize_constants=True, export_int32_bias=True), file)


def default(source: Path, feeds: Feeds, file: Path) -> None:
    """As its guide's first example."""
    simulated(onnx.load(source), feeds, file)


def equalized(source: Path, feeds: Feeds, file: Path) -> None:
    """Cross-layer equalization first, ranges of least error."""
    model = onnx.load(source)
    equalize_model(model)
    simulated(model, feeds, file, quant_scheme="tf_enhanced")


made({"default": default, "equalized": equalized})
