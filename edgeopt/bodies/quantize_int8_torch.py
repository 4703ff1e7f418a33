"""torch -> torch on the grids that neural-compressor finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from edgeopt.passes.quantize_int8_torch import QuantizeInt8
from edgeopt.quantization.calibration import batches, tell_if_few
from edgeopt.quantization.given import quantized_as_found
from edgeopt.quantization.neural_compressor_ranges import EXAMPLES, ranges_found
from edgeopt.schema.base import counted
from edgeopt.schema.errors import DataError
from edgeopt.step import PassContext


def change(step: QuantizeInt8, model: Any, ctx: PassContext) -> tuple[Any, list[dict[str, Any]]]:
    """The module on neural-compressor's grids. Raises PassError where it cannot be traced."""
    fed = list(_batches(step, ctx))
    tell_if_few(step.name, ctx, step.samples)
    inputs = {
        tensor.name: {"shape": list(tensor.shape), "dtype": tensor.dtype}
        for tensor in ctx.description.signature.inputs
    }
    found = ranges_found(model, fed, step.calibration)
    scheme = "u8s8" if step.scheme == "auto" else step.scheme
    frozen, record, missing = quantized_as_found(
        model,
        inputs,
        found,
        fed,
        scheme=scheme,
        float_stem=step.float_stem and scheme != "int8",
    )
    if missing:
        ctx.found.setdefault("notes", []).append(
            f"{step.name}: neural-compressor gave no range for {counted(missing, 'tensor')}, which "
            "have the extremes of the calibration samples"
        )
    return frozen, [record]


def _batches(step: QuantizeInt8, ctx: PassContext) -> Iterator[dict[str, torch.Tensor]]:
    """Whole batches of the calibration samples, by input in the module's order."""
    for feed in batches(ctx, step.samples, step.batch):
        tensors = {name: torch.from_numpy(np.array(array)) for name, array in feed.items()}
        if any(len(tensor) < EXAMPLES for tensor in tensors.values()):
            raise DataError("neural-compressor needs two calibration samples or more")
        yield tensors
