"""ONNX Runtime's static quantizer, and the layers that it has to leave in float."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from onnx import ModelProto, numpy_helper
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

from edgeopt.agent.errors import one_line
from edgeopt.formats.onnx import files
from edgeopt.formats.onnx.format import FORMAT, MODEL
from edgeopt.quantization import forms_onnx
from edgeopt.quantization.calibration import Reader, batches
from edgeopt.quantization.refused import refused
from edgeopt.schema.errors import DataError, PassError
from edgeopt.schemes import SCHEMES
from edgeopt.step import PassContext

if TYPE_CHECKING:
    from edgeopt.passes.quantize_int8_onnx import QuantizeInt8

MASK = 1e8  # a value beyond is none of a network's own: it masks others
SAID = 300  # characters of an error
PRODUCTS_ALONE: dict[str, Any] = {  # options of the quantizer; biases are added to sums in float
    "OpTypesToExcludeOutputQuantization": forms_onnx.WEIGHTED,
    "QuantizeBias": False,
}
ROUNDS = 4  # masked values may reach further layers once the first stay in float


class Quantizing(NamedTuple):
    """A prepared graph on its way: the nodes that stay in float anyway, the weights with one scale
    only, and ranges of activations by tensor."""

    step: QuantizeInt8
    ctx: PassContext
    model: ModelProto
    spared: Collection[str]
    whole: Collection[str]
    ranges: Mapping[str, tuple[float, float]]

    def quantized(self) -> tuple[ModelProto, dict[str, str]]:
        """The quantized graph, and why which further nodes stay in float.

        Raises PassError where the quantizer fails whatever is left out, and DataError.
        """
        files.write(self.model, self.ctx.workdir / "prepared.onnx")
        left: dict[str, str] = {}
        for _ in range(ROUNDS):
            try:
                made = self._made(left)
            except (DataError, PassError):
                raise
            except Exception as error:  # ValueErrors, KeyErrors, its runtime's own
                found = self._refused(left)
                if not found:
                    raise PassError(
                        f"ONNX Runtime's quantizer failed: {one_line(error, SAID)}"
                    ) from error
                left |= found
                continue
            masked = {n: why for n, why in _masked(made, self.model).items() if n not in left}
            if not masked:
                return made, left
            left |= masked
        raise PassError("no part of the network is free of masked values")

    def _made(self, left: Collection[str]) -> ModelProto:
        """What the quantizer makes, once it has answered a batch."""
        step, scheme = self.step, SCHEMES[self.step.scheme]
        types = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}
        folder = self.ctx.workdir / "quantized"
        folder.mkdir(exist_ok=True)
        overrides: dict[str, list[dict[str, Any]]] = {
            name: [{"rmin": np.float32(low), "rmax": np.float32(high)}]
            for name, (low, high) in self.ranges.items()
        }
        overrides |= {name: [{"reduce_range": scheme.reduce_range}] for name in self.whole}
        products = step.placement == "products"
        quantize_static(
            str(self.ctx.workdir / "prepared.onnx"),
            str(folder / MODEL),
            Reader([next(batches(self.ctx, self._batch))]),  # ranges are known
            quant_format=QuantFormat.QDQ,
            per_channel=step.per_channel,
            reduce_range=scheme.reduce_range,
            activation_type=types[scheme.activation],
            weight_type=types[scheme.weight],
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=[*self.spared, *left],
            op_types_to_quantize=forms_onnx.WEIGHTED if products else None,
            extra_options={
                **(PRODUCTS_ALONE if products else {}),
                "ActivationSymmetric": scheme.symmetric,
                "TensorQuantOverrides": overrides,
            },
        )
        FORMAT.runner(folder)(next(batches(self.ctx, self._batch)))
        made = files.read_whole(folder / MODEL)
        if products:
            forms_onnx.leave_floats_to_others(made)
        return made

    @property
    def _batch(self) -> int:
        return self.ctx.description.signature.batch or 1

    def _refused(self, left: Collection[str]) -> dict[str, str]:
        """The nodes to blame."""
        names = [n.name for n in self.model.graph.node if n.name not in {*self.spared, *left}]

        def fails(layers: Sequence[str]) -> str:
            others = [name for name in names if name not in set(layers)]
            try:
                self._made([*left, *others])
            except DataError:
                raise
            except Exception as error:
                return f"ONNX Runtime's quantizer refuses it: {one_line(error, SAID)}"
            return ""

        return refused(names, fails)


def _masked(made: ModelProto, model: ModelProto) -> dict[str, str]:
    """Nodes that read or make values so large that no step of 8 bits is left for the others."""
    large: dict[str, float] = {}
    for tensor in made.graph.initializer:
        if tensor.name.endswith("_scale"):
            scale = float(np.abs(numpy_helper.to_array(tensor)).max(initial=0.0))
            if not math.isfinite(scale) or scale > MASK / 255:
                large[tensor.name.removesuffix("_scale")] = scale
    return {
        node.name: f"its values reach {large[name] * 255:.1g}, as masks do"
        for node in model.graph.node
        for name in (*node.input, *node.output)
        if name in large
    }


def in_float(step: str, model: ModelProto, left: Mapping[str, str]) -> list[str]:
    """A note for each node that stays in float."""
    ops = {node.name: node.op_type for node in model.graph.node}
    return [f"{step} leaves {ops[name]} '{name}' in float32: {why}" for name, why in left.items()]
