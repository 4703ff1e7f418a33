"""torch -> TFLite by litert-torch."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from pydantic import Field

from edgeopt.schema.artifact import Description, Dim, Signature, Tensor
from edgeopt.schema.errors import PassError
from edgeopt.schemes import FAKE_QUANTIZED, scheme_trained
from edgeopt.step import Pass, PassContext, Promise, close

NARROWED = {"int64": "int32", "float64": "float32", "uint64": "uint32"}  # by the converter


class ExportTflite(Pass):
    """Export the module to TFLite with a fixed batch; image inputs become NHWC.

    64-bit inputs and outputs become 32-bit ones. A module that was trained with quantization
    becomes INT8 with the ranges it was trained with.
    """

    name: ClassVar[str] = "export-tflite"
    takes: ClassVar[str] = "torch"
    gives: ClassVar[str] = "tflite"
    worker: ClassVar[str] = "litert"
    uses: ClassVar[tuple[str, ...]] = (
        "torch",
        "litert-torch",
        "litert-converter",
        "ai-edge-quantizer",
    )
    promise: ClassVar[Promise] = close(rtol=1e-3, atol=1e-5)

    batch: int = Field(1, ge=1, le=4096, description="samples an inference; TFLite fixes it")

    def requires(self, d: Description) -> None:
        """Float32 modules whose inputs have a free batch and fixed sizes otherwise."""
        if not scheme_trained(d.facts) and d.facts - {"static-batch"} != {"float32"}:
            raise PassError(f"{self.name} exports float32 modules, this one is {sorted(d.facts)}")
        if not d.signature.inputs:
            raise PassError(f"{self.name} needs a module with inputs")
        if d.signature.batch not in (None, self.batch):
            raise PassError(
                f"{self.name}: the module takes {d.signature.batch} samples at a time",
                hint=f"say 'batch: {d.signature.batch}'",
            )
        for tensor in d.signature.inputs:
            free = [dim for dim in tensor.shape[1:] if isinstance(dim, str)]
            if free:
                raise PassError(
                    f"{self.name} needs fixed sizes; input '{tensor.name}' has {list(tensor.shape)}"
                )

    def effect(self, d: Description) -> Description:
        """The batch fixed, image inputs NHWC, 64 bits narrowed."""
        facts = {"int8", "int8-activations"} if scheme_trained(d.facts) else d.facts
        return Description(
            format="tflite",
            signature=Signature(
                inputs=tuple(self._input(tensor) for tensor in d.signature.inputs),
                outputs=tuple(self._output(tensor) for tensor in d.signature.outputs),
            ),
            facts=frozenset(facts | {"static-batch"}),
        )

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
        shape: tuple[Dim, ...] = tuple(self.batch if n == "batch" else n for n in tensor.shape)
        dtype = NARROWED.get(tensor.dtype, tensor.dtype)
        return tensor.model_copy(update={"shape": shape, "dtype": dtype})

    def run(self, model: Any, ctx: PassContext) -> bytes:
        """Trace an example batch, convert it, and give its parts stable names."""
        names = [t.name for t in self.effect(ctx.description).signature.outputs]
        if not scheme_trained(ctx.description.facts):
            return named(self._converted(model, ctx), names)
        from edgeopt.quantization import int8_tflite

        marked, points = int8_tflite.marked(model)
        marks = [f"{point.grid}.{index}" for index, point in enumerate(points)]
        made = named(self._converted(marked, ctx), [*names, *marks])
        return int8_tflite.quantized(made, names, points, model)

    def _converted(self, model: Any, ctx: PassContext) -> bytes:
        import torch

        litert_torch = _converter()
        signature = ctx.description.signature
        predicted = self.effect(ctx.description).signature
        example = {
            new.name: torch.zeros(new.shape, dtype=getattr(torch, old.dtype))  # type: ignore[arg-type]
            for old, new in zip(signature.inputs, predicted.inputs, strict=True)
        }
        permuted = {t.name for t in signature.inputs if channels_last(t)}
        wrapped = _ChannelsLast.around(model, permuted).eval()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made = litert_torch.convert(wrapped, sample_kwargs=example)
            rough = ctx.workdir / "rough.tflite"
            made.export(str(rough))
        except Exception as error:  # the converter raises what torch, JAX and MLIR raise
            raise _explained(error) from error
        return rough.read_bytes()


def channels_last(tensor: Tensor) -> bool:
    """Whether an input becomes NHWC: images, unless their shape would then look like NCHW."""
    from edgeopt.formats.layout import image_layout

    if tensor.layout != "NCHW":
        return False
    b, c, h, w = tensor.shape
    return image_layout((b, h, w, c)) == "NHWC"


def named(content: bytes, outputs: list[str]) -> bytes:
    """A model whose tensors are called by their modules alone, and its outputs as given.

    The converter writes the names of Python modules and the traced graph's own into the
    file: they change the digest and say nothing to a runtime.
    """
    from edgeopt.formats.tflite import files

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
        import litert_torch
    except ImportError as error:
        raise PassError(
            f"export-tflite needs litert-torch: {error}", hint="pip install 'edgeopt[litert-torch]'"
        ) from error
    return litert_torch


class _ChannelsLast:
    """Makes the module that the converter traces."""

    @staticmethod
    def around(model: Any, permuted: set[str]) -> Any:
        """A module that takes inputs by name, images as NHWC, and gives a tuple."""
        import torch

        from edgeopt.formats.torch.module import named_outputs

        class Wrapped(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = model

            def forward(self, **inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
                given = {
                    name: tensor.permute(0, 3, 1, 2) if name in permuted else tensor
                    for name, tensor in inputs.items()
                }
                return tuple(named_outputs(self.inner(**given), "forward").values())

        return Wrapped()


def _explained(error: Exception) -> PassError:
    """The converter's error in one line; which operator, or what to do."""
    from edgeopt.formats.torch.untraced import root_cause

    cause = root_cause(error)
    lines = [line for line in str(cause).splitlines() if line.strip()] or [type(cause).__name__]
    hint = "torch.export must be able to trace forward(); see its documentation."
    if "Lowering not found" in lines[0]:
        hint = "litert-torch has no TFLite form for this operator of torch; write it otherwise."
    return PassError(f"litert-torch failed: {lines[0].strip()}", hint=hint)
