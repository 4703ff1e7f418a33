"""The TFLite format: one flatbuffer, ``model.tflite``, that LiteRT runs."""

from __future__ import annotations

from edgeopt.formats.tflite.declared import TfliteDeclared

__all__ = ["DECLARED", "TfliteDeclared"]

DECLARED = TfliteDeclared()
