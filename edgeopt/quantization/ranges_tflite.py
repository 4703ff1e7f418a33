"""Ranges of TFLite activations: the extremes over all calibration samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Ranges = dict[str, dict[str, Any]]  # tensor -> min and max, arrays of one value


def extremes(made: Any, model: bytes, signature: str, feeds: Sequence[Mapping[str, Any]]) -> Ranges:
    """The smallest and the largest value of each tensor that a quantizer asks for.

    ``made`` is ai-edge-quantizer's ``Quantizer`` of ``model`` with its recipe; ``feeds`` are
    arrays by input. Its own ``calibrate`` keeps 0.95 of what it knew and adds 0.05 of each
    sample's extremes: the last samples count most, and most samples reach beyond. Here nothing
    is forgotten, so the order does not matter. Raises what the quantizer and LiteRT raise.
    """
    from ai_edge_quantizer import calibrator, recipe_manager
    from ai_edge_quantizer.utils import qsv_utils

    recipe = recipe_manager.RecipeManager()
    recipe.load_quantization_recipe(made.get_quantization_recipe())
    reader = calibrator.Calibrator(model, num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    reader.calibrate({signature: feeds}, recipe)
    found: Ranges = reader.get_model_qsvs()
    return found
