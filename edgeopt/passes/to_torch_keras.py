"""Keras -> torch, layer by layer, for the passes that train."""

from __future__ import annotations

from typing import ClassVar

from edgeopt.rebuilt_pass import RebuiltPass
from edgeopt.schema.artifact import Description, Signature, Tensor


class ToTorch(RebuiltPass):
    """Rebuild the model as a torch module, layer by layer, so that passes which train can take it.

    It is inserted where such a pass follows. Images become NCHW. Where a layer has no twin in
    torch, the network's ONNX graph is rebuilt instead, node by node, and a note names the layer;
    where that has none either, it is an error that names the layer.
    """

    takes: ClassVar[str] = "keras"
    worker: ClassVar[str] = "tensorflow"
    body: ClassVar[str] = "edgeopt.bodies.to_torch_keras"
    uses: ClassVar[tuple[str, ...]] = (
        "tensorflow", "keras", "tf2onnx", "onnx", "onnxsim", "onnxruntime", "torch", "safetensors",
    )  # fmt: skip

    def effect(self, d: Description) -> Description:
        """Images NCHW; the rest as it is."""
        inputs = tuple(map(first, d.signature.inputs))
        signature = Signature(inputs=inputs, outputs=d.signature.outputs)
        return d.model_copy(update={"format": "torch", "signature": signature})


def first(tensor: Tensor) -> Tensor:
    """An input as the module takes it: an image with channels on axis 1."""
    if tensor.layout != "NHWC" or len(tensor.shape) != 4:
        return tensor
    b, h, w, c = tensor.shape
    return tensor.model_copy(update={"shape": (b, c, h, w), "layout": "NCHW"})
