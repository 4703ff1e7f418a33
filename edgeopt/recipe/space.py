"""What is tried of a model for which nobody says it: told by its format and its samples."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

NEAR = "fidelity.sqnr >= 9 dB"  # where no classes are named; found by measuring: docs/measuring.md
LABELLED = "accuracy >= source - 1.0pt"
INT8: dict[str, Any] = {"quantize-int8": {"scheme": "auto"}}
BY_CONVERTER: dict[str, Any] = {"quantize-int8": {"engine": "tensorflow"}}
EVERY = ["local/*"]  # every runtime that is found here


def space(fmt: str, data: Mapping[str, Any], *, classes: bool) -> dict[str, Any]:
    """``targets``, ``constraints`` and ``passes`` of a recipe for a source of a format.

    ``data`` is the recipe's section: a split ``calibration`` allows INT8. ``classes``: whether its
    labels name classes. No pass that trains is among them.
    """
    calibrated = "calibration" in data.get("splits", {})
    last: list[Any] = ["none", *([INT8] if calibrated else []), "fp16"]
    passes = [*_before(fmt, calibrated=calibrated), {"one_of": last}]
    known = fmt in ("torch", "keras", "savedmodel", "onnx", "tflite")
    return {
        **({} if fmt == "onnx" else {"targets": EVERY}),
        "constraints": [LABELLED if classes else NEAR],
        "passes": passes if known else [],
    }


def _before(fmt: str, *, calibrated: bool) -> list[Any]:
    """The steps before the number format: into the formats that runtimes read."""
    if fmt == "torch":
        exports: list[Any] = ["export-onnx"]
        if find_spec("litert_torch"):
            exports.append("export-tflite")
        return [{"one_of": exports}, "simplify-onnx"]
    if fmt in ("keras", "savedmodel"):
        exports = ["export-onnx", "export-tflite", *([BY_CONVERTER] if calibrated else [])]
        return [{"one_of": exports}, "simplify-onnx"]
    return [{"one_of": ["none", "simplify-onnx"]}] if fmt == "onnx" else []
