"""ONNX -> torch, node by node, for the passes that train."""

from __future__ import annotations

from typing import ClassVar

from edgeopt.rebuilt_pass import RebuiltPass
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError


class ToTorch(RebuiltPass):
    """Rebuild the model as a torch module, node by node, so that passes which train can take it.

    It is inserted where such a pass follows. An operator that has no twin in torch is an error that
    names its node.
    """

    takes: ClassVar[str] = "onnx"
    worker: ClassVar[str] = "torch"
    body: ClassVar[str] = "edgeopt.bodies.to_torch_onnx"
    uses: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "torch", "safetensors")

    def requires(self, d: Description) -> None:
        """Float32 models with a free batch and no other free size; inputs named as in Python."""
        super().requires(d)
        for tensor in d.signature.inputs:
            if not tensor.name.isidentifier():
                raise PassError(
                    f"{self.name}: the input '{tensor.name}' cannot be a parameter of a module",
                    hint="give it a name of letters, digits and underscores",
                )

    def effect(self, d: Description) -> Description:
        """The same signature in the other format."""
        return d.model_copy(update={"format": "torch"})
