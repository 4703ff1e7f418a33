"""What the exports of Keras models and SavedModels share: fields, checks, predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from edgeopt.formats.keras.declared import QUANTIZED
from edgeopt.models.sizes import check_can_fix, with_batch
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.step import APPROXIMATE, Pass, Promise, close

NARROWED = {"float64": "float32"}  # by TensorFlow's converter


class TensorflowExport(Pass):
    """Base of passes that export a network which TensorFlow runs."""

    name: ClassVar[str] = ""
    worker: ClassVar[str] = "tensorflow"
    promise: ClassVar[Promise] = close(rtol=1e-3, atol=1e-5)

    def requires(self, d: Description) -> None:
        """Float32 networks with inputs; what Keras itself quantized cannot be converted."""
        if QUANTIZED in d.facts:
            raise PassError(
                f"{self.name}: the model was quantized by Keras, which no converter takes",
                hint="give the float model, and let quantize-int8 quantize it",
            )
        if d.facts - {"static-batch"} != {"float32"}:
            raise PassError(f"{self.name} exports float32 models, this one is {d.told}")
        if not d.signature.inputs:
            raise PassError(f"{self.name} needs a model with inputs")


class OnnxExport(TensorflowExport):
    """Export to ONNX by tf2onnx, with a free batch where the model has one.

    Names and the order of inputs and outputs stay; images stay NHWC.
    """

    name: ClassVar[str] = "export-onnx"
    gives: ClassVar[str] = "onnx"
    uses: ClassVar[tuple[str, ...]] = ("tensorflow", "keras", "tf2onnx", "onnx")

    opset: int = Field(
        18,
        ge=13,
        le=18,
        description="version of the ONNX operators; ONNX Runtime 1.14 and later reads 18",
    )

    @property
    def needs(self) -> Mapping[str, int]:
        """Its opset."""
        return {"opset": self.opset}

    def effect(self, d: Description) -> Description:
        """The same signature in the other format."""
        return d.model_copy(update={"format": "onnx"})


class TfliteExport(TensorflowExport):
    """Export to TFLite by TensorFlow's converter, with a fixed batch and LiteRT's own operators.

    Names and the order of inputs and outputs stay. Double precision becomes single.
    """

    name: ClassVar[str] = "export-tflite"
    gives: ClassVar[str] = "tflite"
    uses: ClassVar[tuple[str, ...]] = ("tensorflow", "keras")

    batch: int = Field(
        1, ge=1, le=4096, description="samples per inference; fixed in a TFLite file"
    )

    def requires(self, d: Description) -> None:
        """Float32 networks whose sizes are fixed but for the batch."""
        super().requires(d)
        check_can_fix(d.signature, self.batch, self.name)

    def effect(self, d: Description) -> Description:
        """The batch is fixed."""
        signature = with_batch(d.signature, self.batch, NARROWED)
        facts = frozenset(d.facts | {"static-batch"})
        return d.model_copy(update={"format": "tflite", "signature": signature, "facts": facts})


class TfliteQuantized(TfliteExport):
    """Export to TFLite in INT8 by TensorFlow's converter, which finds the ranges itself.

    ``static`` quantizes activations with ranges found on calibration samples (min-max), and keeps
    inputs and outputs in float32; ``dynamic`` quantizes them with the ranges of each inference.
    Operators that have no INT8 kernel stay float.
    """

    name: ClassVar[str] = "quantize-int8"
    splits: ClassVar[tuple[str, ...]] = ("calibration",)
    isa_matters: ClassVar[bool] = True
    promise: ClassVar[Promise] = APPROXIMATE

    engine: Literal["tensorflow"] = Field(description="the converter that quantizes")
    scheme: Literal["static", "dynamic"] = Field("static", description="what is quantized and when")
    samples: int = Field(512, ge=1, description="number of calibration samples, from the first on")

    @property
    def sees(self) -> tuple[str, ...]:
        """No samples where activations have no ranges."""
        return self.splits if self.scheme == "static" else ()

    def effect(self, d: Description) -> Description:
        """As the export, with quantized weights, and activations by the scheme."""
        exported = super().effect(d)
        facts = exported.facts - {"float32"} | {"int8"}
        if self.scheme == "static":
            facts |= {"int8-activations"}
        return exported.model_copy(update={"facts": facts})
