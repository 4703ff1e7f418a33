"""SavedModel -> TFLite in INT8 by TensorFlow's own converter."""

from __future__ import annotations

from typing import Any

from edgeopt.converters.int8_by_tensorflow import to_int8
from edgeopt.passes.quantize_int8_savedmodel import QuantizeInt8
from edgeopt.step import PassContext


def run(step: QuantizeInt8, model: Any, ctx: PassContext) -> Any:
    """What the converter gives of the network."""
    return to_int8(step, model, ctx)
