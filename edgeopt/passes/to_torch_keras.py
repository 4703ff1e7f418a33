"""Keras -> torch, layer by layer, for the passes that train."""

from __future__ import annotations

from typing import ClassVar

from edgeopt.schema.artifact import BATCH, Description, Signature, Tensor
from edgeopt.schema.errors import PassError
from edgeopt.step import Pass, Promise, close


class ToTorch(Pass):
    """Rebuild the model as a torch module, layer by layer, so that passes which train can take it.

    It is inserted where such a pass follows. Images become NCHW. A layer that has no twin in torch
    is an error that names it.
    """

    name: ClassVar[str] = "to-torch"
    takes: ClassVar[str] = "keras"
    gives: ClassVar[str] = "torch"
    worker: ClassVar[str] = "tensorflow"
    body: ClassVar[str] = "edgeopt.bodies.to_torch_keras"
    uses: ClassVar[tuple[str, ...]] = ("tensorflow", "keras", "torch", "safetensors")
    promise: ClassVar[Promise] = close(rtol=1e-4, atol=1e-5)

    def requires(self, d: Description) -> None:
        """Float32 models with a free batch, whose other sizes are fixed."""
        if d.facts != {"float32"}:
            raise PassError(
                f"{self.name} takes float32 models of a free batch, this one is {sorted(d.facts)}"
            )
        for tensor in d.signature.inputs:
            if any(isinstance(n, str) and n != BATCH for n in tensor.shape):
                raise PassError(
                    f"{self.name} needs fixed sizes; input '{tensor.name}' has {list(tensor.shape)}"
                )

    def effect(self, d: Description) -> Description:
        """Images NCHW; the rest as it is."""
        inputs = tuple(map(first, d.signature.inputs))
        signature = Signature(inputs=inputs, outputs=d.signature.outputs)
        return Description(format="torch", signature=signature, facts=d.facts)


def first(tensor: Tensor) -> Tensor:
    """An input as the module takes it: an image with channels on axis 1."""
    if tensor.layout != "NHWC" or len(tensor.shape) != 4:
        return tensor
    b, h, w, c = tensor.shape
    return tensor.model_copy(update={"shape": (b, c, h, w), "layout": "NCHW"})
