"""torch -> TFLite by litert-torch."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from edgeopt.models.layout import image_layout
from edgeopt.schema.artifact import BATCH, Description, Dim, Signature, Tensor
from edgeopt.schema.errors import PassError
from edgeopt.schemes import FAKE_QUANTIZED, scheme_trained
from edgeopt.step import Pass, Promise, close

NARROWED = {"int64": "int32", "float64": "float32", "uint64": "uint32"}  # by the converter


class ExportTflite(Pass):
    """Export the module to TFLite with a fixed batch on the first axis; image inputs become NHWC.

    64-bit inputs and outputs become 32-bit. A module that was trained with quantization
    becomes INT8 with the ranges it was trained with.
    """

    name: ClassVar[str] = "export-tflite"
    takes: ClassVar[str] = "torch"
    gives: ClassVar[str] = "tflite"
    version: ClassVar[int] = 2
    worker: ClassVar[str] = "litert"
    body: ClassVar[str] = "edgeopt.bodies.export_tflite_torch"
    uses: ClassVar[tuple[str, ...]] = (
        "torch",
        "litert-torch",
        "litert-converter",
        "ai-edge-quantizer",
    )
    promise: ClassVar[Promise] = close(rtol=1e-3, atol=1e-5)

    batch: int = Field(
        1, ge=1, le=4096, description="samples per inference; fixed in a TFLite file"
    )

    def requires(self, d: Description) -> None:
        """Float32 modules whose inputs have a free batch and fixed sizes otherwise."""
        if not scheme_trained(d.facts) and d.facts - {"static-batch"} != {"float32"}:
            raise PassError(f"{self.name} exports float32 modules, this one is {d.told}")
        if not d.signature.inputs:
            raise PassError(f"{self.name} needs a module with inputs")
        if d.signature.batch not in (None, self.batch):
            raise PassError(
                f"{self.name}: the module takes {d.signature.batch} samples at a time",
                hint=f"say 'batch: {d.signature.batch}'",
            )
        for tensor in d.signature.inputs:
            free = [dim for dim in tensor.batch_first.shape[1:] if isinstance(dim, str)]
            if free:
                raise PassError(
                    f"{self.name} needs fixed sizes; input '{tensor.name}' has {list(tensor.shape)}"
                )

    def effect(self, d: Description) -> Description:
        """The batch fixed and first, image inputs NHWC, 64 bits narrowed."""
        facts = {"int8", "int8-activations"} if scheme_trained(d.facts) else d.facts
        signature = Signature(
            inputs=tuple(self._input(tensor) for tensor in d.signature.inputs),
            outputs=tuple(self._output(tensor) for tensor in d.signature.outputs),
        )
        facts = frozenset(facts | {"static-batch"})
        return d.model_copy(update={"format": "tflite", "signature": signature, "facts": facts})

    def promised(self, d: Description) -> Promise:
        """Rounding up to a step of the integer grids where they are."""
        return FAKE_QUANTIZED if scheme_trained(d.facts) else self.promise

    def _input(self, tensor: Tensor) -> Tensor:
        if not channels_last(tensor):
            return self._output(tensor)
        _, c, h, w = tensor.shape
        shape = (self.batch, h, w, c)
        return tensor.model_copy(update={"shape": shape, "layout": "NHWC"})

    def _output(self, tensor: Tensor) -> Tensor:
        shape: tuple[Dim, ...] = tuple(
            self.batch if n == BATCH else n for n in tensor.batch_first.shape
        )
        dtype = NARROWED.get(tensor.dtype, tensor.dtype)
        return tensor.model_copy(update={"shape": shape, "dtype": dtype})


def channels_last(tensor: Tensor) -> bool:
    """Whether an input becomes NHWC: images, unless their shape would then look like NCHW."""
    if tensor.layout != "NCHW":
        return False
    b, c, h, w = tensor.shape
    return image_layout((b, h, w, c)) == "NHWC"
