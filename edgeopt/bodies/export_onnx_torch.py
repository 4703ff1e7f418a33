"""torch -> ONNX by torch's own exporter."""

from __future__ import annotations

import warnings
from typing import Any

import onnx
import torch

from edgeopt.formats.onnx import portable
from edgeopt.formats.torch.module import flat
from edgeopt.formats.torch.untraced import batch_hint, layer_of, root_cause
from edgeopt.passes.export_onnx_torch import ExportOnnx
from edgeopt.quantization.qdq import qdq_form
from edgeopt.schema.artifact import BATCH
from edgeopt.schema.errors import PassError
from edgeopt.schemes import SCHEMES, scheme_trained
from edgeopt.step import PassContext

MOST_SAID = 300  # characters of the exporter's own words


def run(step: ExportOnnx, model: Any, ctx: PassContext) -> Any:
    """``torch.onnx.export`` of an example batch of two, names kept, cleaned."""
    signature = ctx.description.signature
    if scheme := scheme_trained(ctx.description.facts):
        model = qdq_form(model, SCHEMES[scheme].activation)
    example = {
        t.name: torch.zeros(t.sized(signature.batch or 2), dtype=getattr(torch, t.dtype))
        if t.shape
        else torch.ones((), dtype=getattr(torch, t.dtype))
        for t in signature.inputs
    }
    batch = torch.export.Dim(BATCH, min=1)
    shapes = {
        t.name: {t.batch_axis: batch} if signature.dynamic_batch and t.shape else {}
        for t in signature.inputs
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                flat(model),
                kwargs=example,
                dynamo=True,
                dynamic_shapes=shapes,
                opset_version=step.opset,
                verbose=False,
            )
    except Exception as error:
        raise _explained(error, model) from error
    assert program is not None
    exported = program.model_proto
    portable.strip(exported)
    del exported.graph.value_info[:]
    portable.name_outputs(exported, [t.name for t in signature.outputs])
    portable.name_inputs(exported, [t.name for t in signature.inputs])
    portable.sign(exported, signature)
    exported = onnx.shape_inference.infer_shapes(exported)
    portable.lower_ir(exported)
    return exported


def _explained(error: Exception, model: Any) -> PassError:
    """torch's error in one line, with the layer and its operator, and what to do."""
    cause = root_cause(error)
    lines = [line for line in str(cause).splitlines() if line.strip()] or [type(cause).__name__]
    hint = batch_hint(cause) or (
        "torch.export must be able to trace forward(); see its documentation."
    )
    layer = layer_of(error, model)
    where = f" at {layer}" if layer else ""
    return PassError(f"torch.onnx.export failed{where}: {lines[0].strip()[:MOST_SAID]}", hint=hint)
