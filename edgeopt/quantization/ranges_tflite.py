"""Ranges of TFLite activations: the extremes over all calibration samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_quantizer import calibrator, recipe_manager
from ai_edge_quantizer.utils import qsv_utils

from edgeopt.formats.tflite import files

Ranges = dict[str, dict[str, Any]]  # tensor -> min and max, arrays of one value


def extremes(
    edge_quantizer: Any, model: bytes, signature: str, feeds: Sequence[Mapping[str, Any]]
) -> Ranges:
    """The smallest and the largest value of each tensor that a quantizer asks for.

    ``edge_quantizer`` is ai-edge-quantizer's ``Quantizer`` of ``model`` with its recipe;
    ``feeds`` are arrays by input. Its own ``calibrate`` keeps 0.95 of what it knew and adds 0.05
    of each sample's extremes: the last samples count most, and most samples reach beyond. Here
    nothing is forgotten, so the order does not matter. Raises what the quantizer and LiteRT raise.
    """
    recipe = recipe_manager.RecipeManager()
    recipe.load_quantization_recipe(edge_quantizer.get_quantization_recipe())
    reader = calibrator.Calibrator(model, num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    reader.calibrate({signature: feeds}, recipe)
    ranges: Ranges = reader.get_model_qsvs()
    _give_zeros_a_range(files.unpack(model, "the model"), ranges)
    return ranges


def _give_zeros_a_range(model: Any, ranges: Ranges) -> None:
    """Let tensors that were always 0, of layers gone dead, reach as far as what they are made of.

    The quantizer gives them 1e-9. XNNPACK refuses layers with such outputs, LiteRT's own kernels
    abort the process on such sums, and the bias of a layer behind has no room in 32 bits.
    """
    graph, float32 = model.subgraphs[0], files.schema().TensorType.FLOAT32

    def known(index: int) -> dict[str, Any]:
        if index < 0 or graph.tensors[index].type != float32:
            return {}
        return ranges.get(files.text(graph.tensors[index].name), {})

    def reach(index: int) -> float:
        ends = [known(index)[end] for end in ("min", "max") if end in known(index)]
        return max((float(np.abs(end).max()) for end in ends), default=0.0)

    edges: list[tuple[list[int], list[int]]] = [([], [int(i) for i in graph.inputs])]
    edges += [([int(i) for i in op.inputs], [int(i) for i in op.outputs]) for op in graph.operators]
    for inputs, outputs in edges:
        largest = max(map(reach, inputs), default=0.0) or 1.0
        for index in outputs:
            limits = known(index)
            if "max" in limits and not reach(index):
                limits["max"] = np.full_like(limits["max"], largest)
