"""onnxsim's quantizer: its docstrings (``onnxsim.quantize_static``, ``pick_calibration``)."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxsim
from given import Feeds, made


def default(source: Path, feeds: Feeds, file: Path) -> None:
    """Static, by the calibration samples."""
    onnx.save(onnxsim.quantize_static(str(source), calibration_data=feeds), file)


def full(source: Path, feeds: Feeds, file: Path) -> None:
    """Simplified first, every operator that has an integer kernel."""
    model, _ = onnxsim.simplify(str(source))
    onnx.save(onnxsim.quantize_static(model, calibration_data=feeds, full_graph=True), file)


def picked(source: Path, feeds: Feeds, file: Path) -> None:
    """The same with the ranges that answer best on every fourth sample."""
    model, _ = onnxsim.simplify(str(source))
    found = onnxsim.pick_calibration(
        model, calibration_data=feeds[::2], eval_data=feeds[1::4], full_graph=True
    )
    onnx.save(found.model, file)


def dynamic(source: Path, feeds: Feeds, file: Path) -> None:
    """Products alone, by the ranges of each inference."""
    onnx.save(onnxsim.quantize_dynamic(str(source)), file)


made({"default": default, "full": full, "picked": picked, "dynamic": dynamic})
