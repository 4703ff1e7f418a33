"""The ONNX format. An artifact is ``model.onnx`` with its external data beside it."""

from __future__ import annotations

from edgeopt.formats.onnx.format import OnnxFormat

__all__ = ["FORMAT", "OnnxFormat"]

FORMAT = OnnxFormat()
