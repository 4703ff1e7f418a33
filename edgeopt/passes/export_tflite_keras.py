"""Keras -> TFLite by TensorFlow's converter."""

from __future__ import annotations

from typing import ClassVar

from edgeopt.tensorflow_pass import TfliteExport


class ExportTflite(TfliteExport):
    __doc__ = TfliteExport.__doc__

    takes: ClassVar[str] = "keras"
    body: ClassVar[str] = "edgeopt.bodies.export_tflite_keras"
