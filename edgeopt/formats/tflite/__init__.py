"""The TFLite format: one flatbuffer, ``model.tflite``, that LiteRT runs."""

from __future__ import annotations

from edgeopt.formats.tflite.format import TfliteFormat

__all__ = ["FORMAT", "TfliteFormat"]

FORMAT = TfliteFormat()
