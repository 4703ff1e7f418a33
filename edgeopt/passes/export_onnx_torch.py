"""torch -> ONNX by torch's own exporter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.schemes import FAKE_QUANTIZED, onnx_facts, scheme_trained
from edgeopt.step import Pass, Promise, close


class ExportOnnx(Pass):
    """Export the module to ONNX with a free batch, without stack traces and paths.

    A module that was trained with quantization becomes INT8 with the ranges it was trained with.
    """

    name: ClassVar[str] = "export-onnx"
    takes: ClassVar[str] = "torch"
    gives: ClassVar[str] = "onnx"
    worker: ClassVar[str] = "torch"
    body: ClassVar[str] = "edgeopt.bodies.export_onnx_torch"
    uses: ClassVar[tuple[str, ...]] = ("torch", "onnx", "onnxscript")
    promise: ClassVar[Promise] = close(rtol=1e-3, atol=1e-5)

    opset: int = Field(
        18,
        ge=18,
        le=23,
        description="version of the ONNX operators; ONNX Runtime 1.14 and later reads 18",
    )

    @property
    def needs(self) -> Mapping[str, int]:
        """Its opset."""
        return {"opset": self.opset}

    def requires(self, d: Description) -> None:
        """Float32 modules with at least one input, or ones trained for ONNX Runtime's INT8."""
        scheme = scheme_trained(d.facts)
        if scheme == "int8":
            raise PassError(
                f"{self.name}: the module was trained for LiteRT's INT8",
                hint="qat with 'scheme: u8s8' exports to both.",
            )
        if not scheme and d.facts - {"static-batch"} != {"float32"}:
            raise PassError(f"{self.name} exports float32 modules, this one is {d.told}")
        if not d.signature.inputs:
            raise PassError(f"{self.name} needs a module with inputs")

    def effect(self, d: Description) -> Description:
        """The same signature in the other format."""
        facts = d.facts
        if scheme := scheme_trained(facts):
            facts = facts & {"static-batch"} | onnx_facts(scheme)
        return d.model_copy(update={"format": "onnx", "facts": facts})

    def promised(self, d: Description) -> Promise:
        """Rounding up to a step of the integer grids where they are."""
        return FAKE_QUANTIZED if scheme_trained(d.facts) else self.promise
