"""SavedModel -> TFLite by TensorFlow's own converter."""

from __future__ import annotations

from typing import Any

from edgeopt.converters.tflite_by_tensorflow import to_tflite
from edgeopt.passes.export_tflite_savedmodel import ExportTflite
from edgeopt.step import PassContext


def run(step: ExportTflite, model: Any, ctx: PassContext) -> Any:
    """What the converter gives of the network."""
    return to_tflite(step, model, ctx)
