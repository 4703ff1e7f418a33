"""SavedModel -> TFLite in INT8, by TensorFlow's converter."""

from __future__ import annotations

from typing import ClassVar

from edgeopt.tensorflow_pass import TfliteQuantized


class QuantizeInt8(TfliteQuantized):
    __doc__ = TfliteQuantized.__doc__

    takes: ClassVar[str] = "savedmodel"
    body: ClassVar[str] = "edgeopt.bodies.quantize_int8_savedmodel"
