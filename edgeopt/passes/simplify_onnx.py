"""Fold constants and fuse what can be fused, by onnxsim."""

from __future__ import annotations

from typing import ClassVar

from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.step import Pass, Promise, close


class SimplifyOnnx(Pass):
    """Simplify the graph: fold constants, fuse batch norms, remove dead nodes, infer shapes.

    A mean over height and width becomes GlobalAveragePool, which has an integer kernel, and a GELU
    as PyTorch exports it the form that ONNX Runtime has one kernel for.
    """

    name: ClassVar[str] = "simplify-onnx"
    version: ClassVar[int] = 2
    takes: ClassVar[str] = "onnx"
    gives: ClassVar[str] = "onnx"
    worker: ClassVar[str] = "onnx"
    body: ClassVar[str] = "edgeopt.bodies.simplify_onnx"
    uses: ClassVar[tuple[str, ...]] = ("onnx", "onnxsim", "onnxruntime")
    promise: ClassVar[Promise] = close(rtol=1e-3, atol=1e-5)

    def requires(self, d: Description) -> None:
        """No quantized models: folding would turn INT8 weights back into float."""
        if d.quantized:
            raise PassError(
                f"{self.name} would fold the quantized weights back into float",
                hint="Put simplify-onnx before quantize-int8.",
            )
