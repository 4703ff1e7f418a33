"""SavedModel -> ONNX by tf2onnx."""

from __future__ import annotations

from typing import Any

from edgeopt.converters.onnx_by_tf2onnx import to_onnx
from edgeopt.passes.export_onnx_savedmodel import ExportOnnx
from edgeopt.step import PassContext


def run(step: ExportOnnx, model: Any, ctx: PassContext) -> Any:
    """What the converter gives of the network."""
    return to_onnx(step, model, ctx)
