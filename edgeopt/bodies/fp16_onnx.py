"""Float16 weights and arithmetic for ONNX, by ONNX Runtime's own converter."""

from __future__ import annotations

from typing import Any

import onnx
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers.float16 import convert_float_to_float16

from edgeopt.agent.errors import one_line
from edgeopt.formats.onnx import portable
from edgeopt.formats.onnx.conversion import held_weights
from edgeopt.formats.onnx.describe import weights_fact
from edgeopt.models.conversion import left_in_float
from edgeopt.passes.fp16_onnx import Fp16
from edgeopt.quantization.calibration import batches, held
from edgeopt.quantization.forms_onnx import name_nodes
from edgeopt.quantization.half_onnx import Harm, harmed, join_casts
from edgeopt.schema.errors import DataError, PassError
from edgeopt.step import PassContext

LOOKED_AT = 16  # samples that show whether values overflow
TOLD = 6  # nodes that a note names


def run(step: Fp16, model: Any, ctx: PassContext) -> Any:
    """Convert and sort: the converter appends its casts at the end of the graph.

    Outputs that are inputs, which it would cast in a circle, are kept away from it.

    Raises PassError where the bulk of the weights stays float32.
    """
    before = onnx.ModelProto()
    before.CopyFrom(model)
    portable.modern(model)
    handed = portable.take_handed_through(model)
    name_nodes(model)
    kept = _kept(model, ctx)
    try:
        spared = [each.node for each in kept]
        converted = ONNXModel(
            convert_float_to_float16(model, keep_io_types=True, node_block_list=spared)
        )
        join_casts(converted.model)
        converted.topological_sort()
    except Exception as error:  # the converter asserts on graphs that it does not know
        said = str(error).strip() or type(error).__name__
        raise PassError(f"ONNX Runtime's float16 converter failed: {said}") from error
    if "float16" not in weights_fact(converted.model):
        why = left_in_float(held_weights(converted.model), "ONNX Runtime's float16 converter")
        why += f"; kept away from it: {_listed(kept)}" if kept else ""
        raise PassError(f"the weights could not be converted to float16: {why}")
    if kept:
        ctx.found.setdefault("notes", []).append(f"{step.name} keeps in float32: {_listed(kept)}")
    for place, value in handed:
        converted.model.graph.output.insert(place, value)
    return portable.finished(converted.model, before)


def _kept(model: Any, ctx: PassContext) -> list[Harm]:
    """Nodes that float16 harms, by their constants alone where there are no samples, or too few for
    the model's batch. A note says where the values could not be looked at."""
    batch = ctx.description.signature.batch or 1
    enough = bool(ctx.data("calibration")) and held(ctx, batch) == batch
    try:
        return harmed(model, batches(ctx, max(LOOKED_AT, batch)) if enough else (), ctx.workdir)
    except (DataError, PassError):
        raise
    except Exception as error:  # ONNX Runtime's own share no public base
        ctx.found["notes"] = [
            f"{Fp16.name} looked at constants alone, not at values: {one_line(error, 300)}"
        ]
        return harmed(model, (), ctx.workdir)


def _listed(kept: list[Harm]) -> str:
    """The first of them, and how many more there are."""
    more = f", and {len(kept) - TOLD} more" if len(kept) > TOLD else ""
    return ", ".join(map(str, kept[:TOLD])) + more
