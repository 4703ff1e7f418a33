"""Shortcuts by strided Slice and Pad as 1x1 convolutions."""

from __future__ import annotations

from typing import ClassVar

from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.step import Pass, Promise, close


class SliceToConv(Pass):
    """Write each strided Slice over height and width, with a Pad of channels, as a 1x1 convolution.

    Residual networks have shortcuts of this kind (option A of He et al., arXiv:1512.03385). A
    convolution can take the sum behind it along and has an integer kernel; it costs as many
    multiply-accumulates as a shortcut with weights would. So race it beside ``none``.
    """

    name: ClassVar[str] = "slice-to-conv"
    takes: ClassVar[str] = "onnx"
    gives: ClassVar[str] = "onnx"
    worker: ClassVar[str] = "onnx"
    body: ClassVar[str] = "edgeopt.bodies.slice_to_conv_onnx"
    uses: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")
    promise: ClassVar[Promise] = close(rtol=1e-3, atol=1e-5)

    def requires(self, d: Description) -> None:
        """Float32 models only: in others the weights would need their types and scales."""
        if d.quantized or "float16" in d.facts:
            raise PassError(
                f"{self.name} takes float32 models",
                hint=f"Put {self.name} before quantize-int8 and fp16.",
            )
