"""The ONNX format. An artifact is ``model.onnx`` with its external data beside it."""

from __future__ import annotations

from edgeopt.formats.onnx.declared import OnnxDeclared

__all__ = ["DECLARED", "OnnxDeclared"]

DECLARED = OnnxDeclared()
