"""torch -> ONNX by torch's own exporter."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from pydantic import Field

from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.schemes import FAKE_QUANTIZED, SCHEMES, scheme_trained
from edgeopt.step import Pass, PassContext, Promise, close


class ExportOnnx(Pass):
    """Export the module to ONNX, its batch free, stripped of traces of where it was made.

    A module that was trained with quantization becomes INT8 with the ranges it was trained with.
    """

    name: ClassVar[str] = "export-onnx"
    takes: ClassVar[str] = "torch"
    gives: ClassVar[str] = "onnx"
    worker: ClassVar[str] = "torch"
    uses: ClassVar[tuple[str, ...]] = ("torch", "onnx", "onnxscript")
    promise: ClassVar[Promise] = close(rtol=1e-3, atol=1e-5)

    opset: int = Field(
        18,
        ge=18,
        le=23,
        description="version of ONNX's operators; 18 is read by ONNX Runtime 1.14 and later",
    )

    def requires(self, d: Description) -> None:
        """Float32 modules with at least one input, or ones trained for ONNX Runtime's INT8."""
        scheme = scheme_trained(d.facts)
        if scheme == "int8":
            raise PassError(
                f"{self.name}: the module was trained for LiteRT's INT8",
                hint="qat with 'scheme: u8s8' exports to both.",
            )
        if not scheme and d.facts - {"static-batch"} != {"float32"}:
            raise PassError(f"{self.name} exports float32 modules, this one is {sorted(d.facts)}")
        if not d.signature.inputs:
            raise PassError(f"{self.name} needs a module with inputs")

    def effect(self, d: Description) -> Description:
        """The same signature in the other format."""
        facts = d.facts
        if scheme_trained(facts):
            facts = facts & {"static-batch"} | {"qdq", "int8"}
        return Description(format="onnx", signature=d.signature, facts=facts)

    def promised(self, d: Description) -> Promise:
        """Rounding up to a step of the integer grids where they are."""
        return FAKE_QUANTIZED if scheme_trained(d.facts) else self.promise

    def run(self, model: Any, ctx: PassContext) -> Any:
        """``torch.onnx.export`` of an example batch of two, names kept, cleaned."""
        import onnx
        import torch

        from edgeopt.formats.onnx import portable

        signature = ctx.description.signature
        if scheme := scheme_trained(ctx.description.facts):
            from edgeopt.quantization.qdq import qdq_form

            model = qdq_form(model, SCHEMES[scheme].activation)
        example = {
            t.name: torch.zeros((signature.batch or 2, *t.shape[1:]), dtype=getattr(torch, t.dtype))  # type: ignore[arg-type]
            for t in signature.inputs
        }
        free = {0: torch.export.Dim("batch", min=1)} if signature.dynamic_batch else {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                program = torch.onnx.export(
                    model,
                    kwargs=example,
                    dynamo=True,
                    dynamic_shapes={name: free for name in example},
                    opset_version=self.opset,
                    verbose=False,
                )
        except Exception as error:
            raise _explained(error) from error
        assert program is not None
        made = program.model_proto
        portable.strip(made)
        del made.graph.value_info[:]
        portable.name_outputs(made, [t.name for t in signature.outputs])
        portable.sign(made, signature)
        made = onnx.shape_inference.infer_shapes(made)
        portable.lower_ir(made)
        return made


def _explained(error: Exception) -> PassError:
    """torch's error in one line; what to do where a module fixes its batch."""
    from edgeopt.formats.torch.untraced import batch_hint, root_cause

    cause = root_cause(error)
    lines = [line for line in str(cause).splitlines() if line.strip()] or [type(cause).__name__]
    hint = batch_hint(cause) or (
        "torch.export must be able to trace forward(); see its documentation."
    )
    return PassError(f"torch.onnx.export failed: {lines[0].strip()}", hint=hint)
