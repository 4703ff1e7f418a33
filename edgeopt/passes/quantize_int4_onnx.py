"""INT4 weights for ONNX, by ONNX Runtime's quantizer of blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from edgeopt.quantizing_pass import Int4Pass


class QuantizeInt4(Int4Pass):
    """Quantize the weights of matrix products, and lookup tables, to 4 bits after training.

    Weights are rounded to the nearest of 16 steps, each block of them with a scale of its own;
    nothing is calibrated. Activations stay float32. Convolutions and recurrent layers are left as
    they are.
    """

    takes: ClassVar[str] = "onnx"
    gives: ClassVar[str] = "onnx"
    worker: ClassVar[str] = "onnx"
    body: ClassVar[str] = "edgeopt.bodies.quantize_int4_onnx"
    uses: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")

    form: Literal["matmulnbits", "qdq"] = Field(
        "matmulnbits",
        description="matmulnbits: operators of ONNX Runtime, for lookup tables as well; qdq: "
        "DequantizeLinear of opset 21, which other runtimes read, for products alone",
    )
    block: Literal[16, 32, 64, 128, 256] = Field(32, description="weights that share a scale")
    symmetric: bool = Field(False, description="no zero points: smaller, and less exact")
    accuracy_level: Literal[0, 1, 2, 3, 4] = Field(
        4,
        description="with matmulnbits, what products are computed in: 1 float32, 2 float16, "
        "3 bfloat16, 4 int8, at the least; 0: as the runtime likes",
    )

    @property
    def needs(self) -> Mapping[str, int]:
        """Codes of 4 bits are in opset 21, and ONNX Runtime's own operators in none."""
        return {"opset": 21} if self.form == "qdq" else {}
