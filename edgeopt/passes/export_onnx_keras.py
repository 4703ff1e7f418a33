"""Keras -> ONNX by tf2onnx."""

from __future__ import annotations

from typing import ClassVar

from edgeopt.tensorflow_pass import OnnxExport


class ExportOnnx(OnnxExport):
    __doc__ = OnnxExport.__doc__

    takes: ClassVar[str] = "keras"
    body: ClassVar[str] = "edgeopt.bodies.export_onnx_keras"
