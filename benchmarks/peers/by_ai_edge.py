"""ai-edge-quantizer: https://github.com/google-ai-edge/ai-edge-quantizer, its recipes."""

from __future__ import annotations

from pathlib import Path

from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe
from given import Feeds, made


def default(source: Path, feeds: Feeds, file: Path) -> None:
    """Static, weights and activations in 8 bits."""
    edge = quantizer.Quantizer(str(source), recipe.static_wi8_ai8())
    keys = list(Interpreter(str(source)).get_signature_list())
    ranges = edge.calibrate({keys[0]: feeds})
    edge.quantize(ranges).export_model(str(file))


def dynamic(source: Path, feeds: Feeds, file: Path) -> None:
    """Weights in 8 bits, activations as it runs."""
    quantizer.Quantizer(str(source), recipe.dynamic_wi8_afp32()).quantize().export_model(str(file))


made({"default": default, "dynamic": dynamic}, "tflite")
