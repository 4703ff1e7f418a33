"""torch -> torch on the grids that neural-compressor finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from edgeopt.passes.quantize_int8_torch import QuantizeInt8
from edgeopt.quantization.given import quantized_as_found
from edgeopt.quantization.neural_compressor_ranges import ranges_found
from edgeopt.schema.base import counted
from edgeopt.schema.errors import DataError
from edgeopt.step import PassContext


def change(step: QuantizeInt8, model: Any, ctx: PassContext) -> tuple[Any, list[dict[str, Any]]]:
    """The module on neural-compressor's grids. Raises PassError where it cannot be traced."""
    batches = list(_batches(step, ctx))
    inputs = {
        tensor.name: {"shape": list(tensor.shape), "dtype": tensor.dtype}
        for tensor in ctx.description.signature.inputs
    }
    ctx.progress(1, 3)
    found = ranges_found(model, batches, step.calibration)
    ctx.progress(2, 3)
    scheme = "u8s8" if step.scheme == "auto" else step.scheme
    frozen, record, missing = quantized_as_found(
        model,
        inputs,
        found,
        batches,
        scheme=scheme,
        float_stem=step.float_stem and scheme != "int8",
    )
    if missing:
        ctx.found["notes"] = [
            f"{step.name}: neural-compressor gave no range for {counted(missing, 'tensor')}, which "
            "have the extremes of the calibration samples"
        ]
    return frozen, [record]


def _batches(step: QuantizeInt8, ctx: PassContext) -> Iterator[dict[str, torch.Tensor]]:
    """Whole batches of the calibration samples, by input in the module's order."""
    arrays = ctx.data("calibration")
    names = [tensor.name for tensor in ctx.description.signature.inputs]
    count = min(step.samples, *(len(arrays[name]) for name in names))
    size = min(step.batch, count)
    if size < 2:
        raise DataError("neural-compressor needs two calibration samples or more")
    for start in range(0, count - size + 1, size):
        rows = {name: np.ascontiguousarray(arrays[name][start : start + size]) for name in names}
        yield {name: torch.from_numpy(np.array(array)) for name, array in rows.items()}
