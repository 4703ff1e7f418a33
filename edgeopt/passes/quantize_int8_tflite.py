"""INT8 quantization of TFLite, by ai-edge-quantizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.schema.errors import DataError, PassError
from edgeopt.schema.target import TargetFacts
from edgeopt.schemes import LITERT
from edgeopt.step import APPROXIMATE, Pass, PassContext, Promise


class QuantizeInt8(Pass):
    """Quantize weights to 8 bits after training, and activations as the scheme says.

    ``static``: activations too, by ranges found in calibration (min-max). ``static-int8-io``:
    inputs and outputs as well. ``dynamic``: by each inference's own ranges, while it runs.
    ``weight-only``: not at all; weights are dequantized and all arithmetic is float32.
    """

    name: ClassVar[str] = "quantize-int8"
    version: ClassVar[int] = 2
    takes: ClassVar[str] = "tflite"
    gives: ClassVar[str] = "tflite"
    worker: ClassVar[str] = "litert"
    uses: ClassVar[tuple[str, ...]] = ("ai-edge-quantizer", "ai-edge-litert")
    splits: ClassVar[tuple[str, ...]] = ("calibration",)
    isa_matters: ClassVar[bool] = True
    promise: ClassVar[Promise] = APPROXIMATE

    scheme: Literal["auto", "static", "static-int8-io", "dynamic", "weight-only"] = Field(
        "auto", description=f"what is quantized when; auto: {' and '.join(LITERT)}"
    )
    per_channel: bool = Field(True, description="a scale for each output channel of a weight")
    samples: int = Field(512, ge=1, description="calibration samples used, from the first on")

    def variants(self, d: Description, t: TargetFacts) -> tuple[Self, ...]:
        """``auto`` becomes one pass for each scheme worth trying."""
        if self.scheme != "auto":
            return (self,)
        return tuple(self.model_copy(update={"scheme": name}) for name in LITERT)

    def requires(self, d: Description) -> None:
        """Float32 models only."""
        if "int8" in d.facts:
            raise PassError(f"{self.name} takes float models, this one is quantized already")
        if "float16" in d.facts:
            raise PassError(
                f"{self.name} takes float32 models, this one is float16",
                hint="Use one of fp16 and quantize-int8, not both.",
            )

    def effect(self, d: Description) -> Description:
        """Quantized weights; activations, inputs and outputs by the scheme."""
        facts = d.facts - {"float32"} | {"int8"}
        signature = d.signature
        if self.scheme.startswith("static"):
            facts |= {"int8-activations"}
        if self.scheme == "static-int8-io":
            facts |= {"int8-io"}
            signature = Signature(
                inputs=tuple(map(_narrowed, signature.inputs)),
                outputs=tuple(map(_narrowed, signature.outputs)),
            )
        return d.model_copy(update={"facts": facts, "signature": signature})

    def run(self, model: Any, ctx: PassContext) -> bytes:
        """Calibrate where the scheme needs it, quantize. Raises PassError where no weight is."""
        from edgeopt.formats.tflite import files
        from edgeopt.formats.tflite.conversion import unquantized
        from edgeopt.formats.tflite.describe import quantization_form
        from edgeopt.quantization.biases_tflite import quantized

        if self.scheme == "auto":
            raise PassError("'auto' stands for several schemes and cannot run itself")
        try:
            made = self._configured(model)
            found = self._calibrated(made, model, ctx) if made.need_calibration else None
            if made.need_calibration and not found:  # of no operator a range was asked
                raise unquantized(model, self.scheme)
            content = quantized(self._configured, model, found)
        except (DataError, PassError):
            raise
        except Exception as error:  # the quantizer raises ValueErrors, KeyErrors, its runtime's own
            raise PassError(f"ai-edge-quantizer failed: {type(error).__name__}: {error}") from error
        if not quantization_form(files.unpack(content, "the quantized model")):
            raise unquantized(content, self.scheme)
        return content

    def _configured(self, model: bytes) -> Any:
        from ai_edge_quantizer import qtyping, quantizer
        from ai_edge_quantizer.algorithm_manager import AlgorithmName

        made = quantizer.Quantizer(model)
        names, sizes = qtyping.TFLOperationName, qtyping.QuantGranularity
        granularity = sizes.CHANNELWISE if self.per_channel else sizes.TENSORWISE
        every = (".*", names.ALL_SUPPORTED)
        if self.scheme == "dynamic":
            made.add_dynamic_config(*every, num_bits=8, granularity=granularity)
        elif self.scheme == "weight-only":
            made.add_weight_only_config(*every, num_bits=8, granularity=granularity)
        else:
            made.add_static_config(
                *every, activation_num_bits=8, weight_num_bits=8, weight_granularity=granularity
            )
        if self.scheme == "static":
            for border in (names.INPUT, names.OUTPUT):
                made.update_quantization_recipe(
                    ".*", border, algorithm_key=AlgorithmName.NO_QUANTIZE
                )
        return made

    def _calibrated(self, made: Any, model: bytes, ctx: PassContext) -> Any:
        from edgeopt.formats.tflite import files
        from edgeopt.quantization.ranges_tflite import extremes

        graph = files.unpack(model, "the parent")
        keys = [files.text(s.signatureKey) for s in graph.signatureDefs or []]
        if len(keys) != 1:
            raise PassError(
                f"ai-edge-quantizer calibrates models with one signature; this one has "
                f"{len(keys) or 'none'}",
                hint="quantize-int8 with 'scheme: dynamic' or 'weight-only' needs none.",
            )
        feeds = list(_feeds(ctx, self.samples))  # the calibrator walks through them twice
        return extremes(made, model, keys[0], feeds)


def _narrowed(tensor: Tensor) -> Tensor:
    """A float input or output as int8; scale and zero point are known once it is made."""
    if tensor.dtype != "float32":
        return tensor
    return tensor.model_copy(update={"dtype": "int8"})


def _feeds(ctx: PassContext, samples: int) -> Iterator[dict[str, Any]]:
    """The calibration samples in the model's batch. Raises DataError."""
    arrays: Mapping[str, Any] = ctx.data("calibration")
    signature = ctx.description.signature
    batch = signature.batch or 1
    count = min(samples, *(len(arrays[t.name]) for t in signature.inputs)) // batch * batch
    if not count:
        raise DataError(f"too few calibration samples: the model takes {batch} at a time")
    for start in range(0, count, batch):
        ctx.progress(start, count)
        yield {t.name: arrays[t.name][start : start + batch] for t in signature.inputs}
