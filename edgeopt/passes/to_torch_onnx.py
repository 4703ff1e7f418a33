"""ONNX -> torch, node by node, for the passes that train."""

from __future__ import annotations

from typing import ClassVar

from edgeopt.schema.artifact import BATCH, Description
from edgeopt.schema.errors import PassError
from edgeopt.step import Pass, Promise, close


class ToTorch(Pass):
    """Rebuild the model as a torch module, node by node, so that passes which train can take it.

    It is inserted where such a pass follows. An operator that has no twin in torch is an error that
    names its node.
    """

    name: ClassVar[str] = "to-torch"
    takes: ClassVar[str] = "onnx"
    gives: ClassVar[str] = "torch"
    worker: ClassVar[str] = "torch"
    body: ClassVar[str] = "edgeopt.bodies.to_torch_onnx"
    uses: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "torch", "safetensors")
    promise: ClassVar[Promise] = close(rtol=1e-4, atol=1e-5)

    def requires(self, d: Description) -> None:
        """Float32 models with a free batch and no other free size; inputs named as in Python."""
        if d.facts != {"float32"}:
            raise PassError(
                f"{self.name} takes float32 models of a free batch, this one is {sorted(d.facts)}"
            )
        for tensor in d.signature.inputs:
            if any(isinstance(n, str) and n != BATCH for n in tensor.shape):
                raise PassError(
                    f"{self.name} needs fixed sizes; input '{tensor.name}' has {list(tensor.shape)}"
                )
            if not tensor.name.isidentifier():
                raise PassError(
                    f"{self.name}: the input '{tensor.name}' cannot be a parameter of a module",
                    hint="give it a name of letters, digits and underscores",
                )

    def effect(self, d: Description) -> Description:
        """The same signature in the other format."""
        return Description(format="torch", signature=d.signature, facts=d.facts)
