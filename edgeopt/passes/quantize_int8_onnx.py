"""Static INT8 quantization of ONNX, by ONNX Runtime's own quantizer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import DataError, PassError
from edgeopt.schema.target import TargetFacts
from edgeopt.schemes import SCHEMES, schemes_for
from edgeopt.step import APPROXIMATE, Pass, PassContext, Promise

SHORT_SUM = 32  # products a sum of a first convolution; below, integer kernels gain nothing
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


class QuantizeInt8(Pass):
    """Quantize weights and activations to 8 bits after training (QDQ form, min-max ranges).

    Inputs and outputs stay float32.
    """

    name: ClassVar[str] = "quantize-int8"
    version: ClassVar[int] = 2
    takes: ClassVar[str] = "onnx"
    gives: ClassVar[str] = "onnx"
    worker: ClassVar[str] = "onnx"
    uses: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "sympy")
    splits: ClassVar[tuple[str, ...]] = ("calibration",)
    isa_matters: ClassVar[bool] = True
    promise: ClassVar[Promise] = APPROXIMATE

    scheme: Literal["auto", "u8s8", "u8s8-reduced", "u8s8-safe", "s8s8"] = Field(
        "auto", description="types of activations and weights; auto: what suits the target's ISA"
    )
    per_channel: bool = Field(True, description="a scale for each output channel of a weight")
    calibration: Literal["minmax"] = Field("minmax", description="how ranges are found")
    samples: int = Field(512, ge=1, description="calibration samples used, from the first on")
    float_stem: bool = Field(
        True,
        description=f"leave first convolutions with sums of fewer than {SHORT_SUM} products "
        "(3x3 over gray or colour images) in float32: faster, and closer to the source",
    )

    def variants(self, d: Description, t: TargetFacts) -> tuple[Self, ...]:
        """``auto`` becomes one pass for each scheme that suits the target."""
        if self.scheme != "auto":
            return (self,)
        return tuple(self.model_copy(update={"scheme": name}) for name in schemes_for(t))

    def fallbacks(self) -> tuple[Self, ...]:
        """What keeps sums of 8-bit products from overflowing: weights of 7 bits, larger scales
        for the channels at risk, and first convolutions in float32.
        """
        if self.scheme != "u8s8":
            return ()
        forms: list[dict[str, Any]] = [{"scheme": "u8s8-reduced"}, {"scheme": "u8s8-safe"}]
        forms += [] if self.float_stem else [{"float_stem": True}]
        return tuple(self.model_copy(update=form) for form in forms)

    def requires(self, d: Description) -> None:
        """Float32 models only."""
        if d.facts & {"qdq", "int8"}:
            raise PassError(f"{self.name} takes float models, this one is quantized already")
        if "float16" in d.facts:
            raise PassError(
                f"{self.name} takes float32 models, this one is float16",
                hint="Use one of fp16 and quantize-int8, not both.",
            )

    def effect(self, d: Description) -> Description:
        """Quantized weights between QuantizeLinear and DequantizeLinear."""
        return d.model_copy(update={"facts": d.facts - {"float32"} | {"qdq", "int8"}})

    def run(self, model: Any, ctx: PassContext) -> Any:
        """Prepare the graph, calibrate, quantize. Raises PassError where no weight is."""
        import onnx

        from edgeopt.formats.onnx import files, portable, saturation
        from edgeopt.formats.onnx.conversion import unquantized
        from edgeopt.quantization.biases_onnx import make_room

        if self.scheme == "auto":
            raise PassError("'auto' stands for the schemes of a target and cannot run itself")
        before = onnx.ModelProto()
        before.CopyFrom(model)
        portable.modern(model)
        model = portable.at_least_opset(_prepared(model, ctx.workdir), 13, self.name)
        for index, node in enumerate(model.graph.node):
            node.name = node.name or f"{node.op_type}_{index}"
        excluded = stem(model) if self.float_stem else []
        floats = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
        files.write(model, ctx.workdir / "prepared.onnx")
        made = self._quantized(ctx, excluded)
        make_room(made, floats)
        if SCHEMES[self.scheme].saturation_safe:
            saturation.make_safe(made, floats)
        if why := unquantized(made, excluded):
            raise PassError(
                f"no operator with weights could be quantized: {why}",
                hint="say 'float_stem: false' to quantize it too" if excluded else "",
            )
        return portable.finished(made, before)

    def _quantized(self, ctx: PassContext, excluded: list[str]) -> Any:
        from onnxruntime.quantization import (
            CalibrationMethod,
            QuantFormat,
            QuantType,
            quantize_static,
        )

        from edgeopt.formats.onnx import files

        types = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}
        scheme = SCHEMES[self.scheme]
        feeds = _feeds(ctx, self.samples)
        try:
            quantize_static(
                str(ctx.workdir / "prepared.onnx"),
                str(ctx.workdir / "quantized.onnx"),
                _Reader(feeds),
                quant_format=QuantFormat.QDQ,
                per_channel=self.per_channel,
                reduce_range=scheme.reduce_range,
                activation_type=types[scheme.activation],
                weight_type=types[scheme.weight],
                calibrate_method=CalibrationMethod.MinMax,
                nodes_to_exclude=excluded,
            )
        except (DataError, PassError):
            raise
        except Exception as error:  # the quantizer raises ValueErrors, KeyErrors, its runtime's own
            raise PassError(
                f"ONNX Runtime's quantizer failed: {type(error).__name__}: {error}"
            ) from error
        return files.read_whole(ctx.workdir / "quantized.onnx")


class _Reader:
    """What the quantizer calls a CalibrationDataReader: feeds, then None."""

    def __init__(self, feeds: Iterator[dict[str, Any]]) -> None:
        self.feeds = feeds

    def get_next(self) -> dict[str, Any] | None:
        return next(self.feeds, None)


def _feeds(ctx: PassContext, samples: int) -> Iterator[dict[str, Any]]:
    """The calibration samples one by one, or in the model's fixed batch. Raises DataError."""
    arrays: Mapping[str, Any] = ctx.data("calibration")
    signature = ctx.description.signature
    for tensor in signature.inputs:
        if tensor.name not in arrays:
            raise DataError(f"no calibration data for the model's input '{tensor.name}'")
    batch = signature.batch or 1
    count = min(samples, *(len(arrays[t.name]) for t in signature.inputs)) // batch * batch
    if not count:
        raise DataError(f"too few calibration samples: the model takes {batch} at a time")
    for start in range(0, count, batch):
        ctx.progress(start, count)
        yield {t.name: arrays[t.name][start : start + batch] for t in signature.inputs}


def _prepared(model: Any, workdir: Path) -> Any:
    """ONNX Runtime's own preparation: shapes inferred, constants folded, norms fused.

    Symbolic shape inference does not know every operator; then ONNX's own must do.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    from edgeopt.formats.onnx import files

    source, target = workdir / "source.onnx", workdir / "preprocessed.onnx"
    files.write(model, source)
    for skip_symbolic_shape in (False, True):
        try:
            quant_pre_process(str(source), str(target), skip_symbolic_shape=skip_symbolic_shape)
            return files.read_whole(target)
        except Exception as error:
            failure = error
    raise PassError(f"ONNX Runtime cannot prepare the model: {failure}") from failure


def stem(model: Any) -> list[str]:
    """Names of the first convolutions with short sums, and of the nodes before them."""
    graph = model.graph
    dims = {tensor.name: tensor.dims for tensor in graph.initializer}
    makers: dict[str, Any] = {}  # tensor -> its node, as long as no weights were met
    before = {value.name for value in graph.input}
    found: dict[str, None] = {}
    for node in graph.node:
        fresh = [name for name in node.input if name in before]
        if node.op_type not in WEIGHTED:
            if fresh:
                before.update(node.output)
                makers.update(dict.fromkeys(node.output, node))
            continue
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        short = math.prod(dims.get(node.input[1], (SHORT_SUM,))[1:]) < SHORT_SUM
        if node.op_type == "Conv" and node.input[0] in before and groups == 1 and short:
            pending = [node.input[0]]
            found[node.name] = None
            while pending:
                maker = makers.get(pending.pop())
                if maker is not None and maker.name not in found:
                    found[maker.name] = None
                    pending += maker.input
    return list(found)
