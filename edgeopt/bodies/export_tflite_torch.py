"""torch -> TFLite by litert-torch."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import torch

from edgeopt.formats.tflite import files
from edgeopt.formats.tflite.outputs import distinct
from edgeopt.formats.torch.convertible import convertible
from edgeopt.formats.torch.module import named_outputs
from edgeopt.formats.torch.untraced import layer_of, named_line, root_cause
from edgeopt.passes.export_tflite_torch import ExportTflite, channels_last
from edgeopt.quantization import int8_tflite
from edgeopt.schema.artifact import Signature
from edgeopt.schema.errors import PassError
from edgeopt.schemes import scheme_trained
from edgeopt.step import PassContext

PREFIX = "inner."  # of the module's path in what is traced
COMPILER = "Failed to run converter passes"


def run(step: ExportTflite, model: Any, ctx: PassContext) -> bytes:
    """Trace an example batch, convert it, and give its parts stable names."""
    names = [t.name for t in step.effect(ctx.description).signature.outputs]
    if not scheme_trained(ctx.description.facts):
        return distinct(named(_converted(step, model, ctx), names), names)
    marked, points = int8_tflite.marked(model)
    marks = [f"{point.grid}.{index}" for index, point in enumerate(points)]
    converted = named(_converted(step, marked, ctx), [*names, *marks])
    return distinct(int8_tflite.quantized(converted, names, points, model), names)


def _converted(step: ExportTflite, model: Any, ctx: PassContext) -> bytes:
    litert_torch = _converter()
    signature = ctx.description.signature
    predicted = step.effect(ctx.description).signature
    example = {
        new.name: torch.full(new.shape, 0 if new.shape else 1, dtype=getattr(torch, old.dtype))  # type: ignore[arg-type]
        for old, new in zip(signature.inputs, predicted.inputs, strict=True)
    }
    wrapped = _rearranged(model, signature).eval()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = convertible(wrapped, example)
            converted = litert_torch.convert(traced, sample_kwargs=example)
        rough = ctx.workdir / "rough.tflite"
        converted.export(str(rough))
    except Exception as error:  # the converter raises what torch, JAX and MLIR raise
        raise _explained(error, wrapped, example) from error
    return rough.read_bytes()


def named(content: bytes, outputs: list[str]) -> bytes:
    """A model whose tensors are called by their modules alone, and its outputs as given.

    The converter writes the names of Python modules and the traced graph's own into the
    file: they change the digest and say nothing to a runtime.
    """
    model = files.unpack(content, "the exported model")
    for graph in model.subgraphs:
        used: set[str] = set()
        for index, tensor in enumerate(graph.tensors):
            name = _short(files.text(tensor.name)) or f"tensor_{index}"
            tensor.name = (f"{name}_{index}" if name in used else name).encode()
            used.add(name)
    main = model.subgraphs[0]
    places = {int(index): name for index, name in zip(main.outputs, outputs, strict=True)}
    for signature in model.signatureDefs or []:
        for tensor in signature.outputs:
            tensor.name = places[int(tensor.tensorIndex)].encode()
    return files.pack(model)


def _short(name: str) -> str:
    """``a.b.Net/a.b.Block_0;c.d.Conv_1;`` as ``Block_0`` of the last part's classes."""
    part = next((part for part in reversed(name.split(";")) if part), "")
    return (
        "/".join(each.rpartition(".")[2] for each in part.split("/")[1:]) or part.rpartition(".")[2]
    )


def _converter() -> Any:
    try:
        import litert_torch  # of an extra of its own
    except ImportError as error:
        raise PassError(
            f"export-tflite needs litert-torch: {error}", hint="pip install 'edgeopt[litert-torch]'"
        ) from error
    return litert_torch


def _rearranged(model: Any, signature: Signature) -> Any:
    """A module that takes inputs by name, images as NHWC and samples first, and gives a tuple."""
    permuted = {t.name for t in signature.inputs if channels_last(t)}
    axes = {t.name: t.batch_axis for t in signature.inputs if t.batch_axis}
    moved = {place: t.batch_axis for place, t in enumerate(signature.outputs) if t.batch_axis}

    def given(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if name in permuted:
            return tensor.permute(0, 3, 1, 2)
        return tensor.movedim(0, axes[name]) if name in axes else tensor

    class Wrapped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, **inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            outputs = self.inner(**{name: given(name, tensor) for name, tensor in inputs.items()})
            flat = named_outputs(outputs, "forward").values()
            return tuple(
                tensor.movedim(moved[place], 0) if place in moved else tensor
                for place, tensor in enumerate(flat)
            )

    return Wrapped()


def _explained(error: Exception, wrapped: Any, example: Any) -> PassError:
    """The converter's error in one line: the layer, its operator, and what to do."""
    cause = root_cause(error)
    lines = [line for line in str(cause).splitlines() if line.strip()] or [type(cause).__name__]
    layer = layer_of(error, wrapped, PREFIX)
    if not layer and COMPILER in lines[0]:
        with suppress(Exception), torch.no_grad():  # it was exported before
            program = torch.export.export(wrapped, (), example, strict=False)
            layer = named_line(cause, program.graph.nodes, PREFIX)
    said = lines[0].strip()
    if COMPILER in said:
        said = said.rpartition("error: ")[2].partition(":")[0]
    where = f" at {layer}" if layer else ""
    hint = "torch.export must be able to trace forward(); see its documentation."
    if "(" in where:
        hint = "litert-torch cannot convert this operator of torch; write it differently."
    return PassError(f"litert-torch failed{where}: {said}", hint=hint)
