"""Static INT8 quantization of ONNX, by ONNX Runtime's own quantizer."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgeopt.quantizing_pass import QuantizingPass
from edgeopt.schema.artifact import Description
from edgeopt.schema.target import TargetFacts
from edgeopt.schemes import (
    NNCF,
    OF_WEIGHTS,
    SCHEMES,
    int8_stems_for,
    onnx_facts,
    placement_for,
    schemes_for,
)

OUTLIER_DB = 21.0  # signal to quantization noise of an input, below which it has outliers
SMOOTH_DB = 30.0  # the same, below which evening it out pays: 19 of 36 products of MiniLM
SHORT_SUM = 32  # products a sum of a first convolution; below, integer kernels gain nothing


class QuantizeInt8(QuantizingPass):
    """Quantize to 8 bits after training; inputs and outputs stay float32.

    ``u8s8`` to ``s8s8`` quantize weights and activations, with ranges found in calibration (QDQ).
    ``dynamic`` and ``dynamic-reduced`` quantize the weights of matrix products, LSTMs and lookup
    tables, and activations with the range of each inference. ``weight-only`` quantizes no
    activation: weights are dequantized, and all arithmetic is float32.
    NNCF has ``performance`` (symmetric) and ``mixed`` (activations asymmetric), also with ranges
    found in calibration, and quantizes what OpenVINO has kernels for.
    """

    name: ClassVar[str] = "quantize-int8"
    version: ClassVar[int] = 5
    takes: ClassVar[str] = "onnx"
    gives: ClassVar[str] = "onnx"
    worker: ClassVar[str] = "onnx"
    body: ClassVar[str] = "edgeopt.bodies.quantize_int8_onnx"
    uses: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "sympy")
    splits: ClassVar[tuple[str, ...]] = ("calibration",)
    isa_matters: ClassVar[bool] = True

    engine: Literal["onnxruntime", "nncf"] = Field(
        "onnxruntime", description="the library that quantizes"
    )
    scheme: Literal[
        "auto", "u8s8", "u8s8-reduced", "u8s8-safe", "s8s8", "s8s8-symmetric", "dynamic",
        "dynamic-reduced", "weight-only", "performance", "mixed",
    ] = Field(
        "auto",
        description="types of activations and weights, and what is quantized when; auto: those "
        "that suit the target's CPU and the network",
    )  # fmt: skip
    placement: Literal["every", "products"] = Field(
        "every",
        description="what static schemes quantize: inputs and outputs of every operator that ONNX "
        "Runtime has an integer kernel for, or inputs of convolutions and matrix products alone, "
        "with what follows these in float; 'scheme: auto' takes what suits the runtime unless this "
        "is said",
    )
    per_channel: bool = Field(True, description="use one scale for each output channel of a weight")
    calibration: Literal["minmax", "percentile", "entropy", "mse"] = Field(
        "minmax",
        description="how ranges are found: the extremes of all samples; 99.999% of the values; the "
        "least divergence of histograms; the least squared error",
    )
    samples: int = Field(512, ge=1, description="number of calibration samples, from the first on")
    float_stem: bool = Field(
        True,
        description=f"keep first convolutions with sums of fewer than {SHORT_SUM} products "
        "(3x3 over grey or colour images) in float32: closer to the source, and faster unless the "
        "runtime has integer kernels for them; where it has, 'scheme: auto' tries both forms "
        "unless this is said",
    )
    float_outliers: bool = Field(
        False,
        description="with a dynamic scheme, keep products in float32 whose inputs have outliers on "
        f"the calibration samples: {OUTLIER_DB:.0f} dB or less between values and the rounding of "
        "8 bits; 'scheme: auto' tries both",
    )
    smooth: bool = Field(
        False,
        description="with a dynamic scheme, even out uneven inputs first, by dividing their "
        "channels and multiplying the rows of the matrix by the same factors (SmoothQuant): where "
        f"16 calibration samples leave less than {SMOOTH_DB:.0f} dB; with float_outliers only what "
        "then still has outliers stays in float32; 'scheme: auto' tries both",
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        """Each engine has schemes of its own."""
        if self.scheme != "auto" and (self.engine == "nncf") != (self.scheme in NNCF):
            raise ValueError(f"engine '{self.engine}' has no scheme '{self.scheme}'")
        return self

    @property
    def libraries(self) -> tuple[str, ...]:
        """NNCF where it quantizes."""
        return (*self.uses, *(["nncf"] if self.engine == "nncf" else []))

    @property
    def sees(self) -> tuple[str, ...]:
        """No samples where activations have no ranges."""
        looks = self.float_outliers or self.smooth
        return () if self.scheme in OF_WEIGHTS and not looks else self.splits

    def variants(self, d: Description, t: TargetFacts) -> tuple[Self, ...]:
        """``auto`` becomes one pass for each scheme that suits the target, and where
        ``float_stem`` is left out, for each form of it that does.
        """
        if self.scheme != "auto":
            return (self,)
        if self.engine == "nncf":
            return tuple(self.model_copy(update={"scheme": name}) for name in NNCF)
        pinned = "float_stem" in self.model_fields_set
        also = () if pinned else int8_stems_for(t)
        known = schemes_for(t, d.kind)
        found = []
        for name in (each for each in known if each in OF_WEIGHTS):
            form = self.model_copy(
                update={"scheme": name, "float_outliers": False, "smooth": False}
            )
            found.append(form)
            if name.startswith("dynamic"):
                spared = form.model_copy(update={"float_outliers": True})
                found += [spared, spared.model_copy(update={"smooth": True})]
        static = [name for name in known if name in SCHEMES]
        placed = "placement" in self.model_fields_set
        each = {
            "float_outliers": False,
            "smooth": False,
            "placement": self.placement if placed else placement_for(t),
        }
        stem = self.float_stem if pinned else True
        found += [
            self.model_copy(update={**each, "scheme": name, "float_stem": stem}) for name in static
        ]
        found += [
            self.model_copy(update={**each, "scheme": name, "float_stem": False})
            for name in static
            if name in also
        ]
        return tuple(found)

    def fallbacks(self) -> tuple[Self, ...]:
        """What keeps sums of 8-bit products from overflowing: weights of 7 bits; of static schemes
        also larger scales for the channels at risk, and first convolutions in float32.
        """
        if self.scheme == "dynamic":
            return (self.model_copy(update={"scheme": "dynamic-reduced"}),)
        if self.scheme != "u8s8":
            return ()
        forms: list[dict[str, Any]] = [{"scheme": "u8s8-reduced"}, {"scheme": "u8s8-safe"}]
        forms += [] if self.float_stem else [{"float_stem": True}]
        return tuple(self.model_copy(update=form) for form in forms)

    def effect(self, d: Description) -> Description:
        """Quantized weights between QuantizeLinear and DequantizeLinear."""
        facts = d.facts - {"float32"} | onnx_facts(self.scheme)
        return d.model_copy(update={"facts": facts})
