"""Shapes of outputs that a file does not declare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, ValueInfoProto

from edgeopt.formats.onnx import files
from edgeopt.formats.onnx.describe import signature_of
from edgeopt.schema.artifact import Tensor
from edgeopt.schema.errors import ModelError

Run = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]
BATCHES = (2, 3)  # what grows from one to the other is the batch


def declare(path: Path, runner: Callable[[], Run]) -> None:
    """Write into a file the shapes and types of outputs that it leaves out; else nothing.

    By ONNX's own inference, or as runs with 2 and 3 samples of zeros show them. Raises ModelError
    where neither tells them.
    """
    model = files.read(path)
    if not any(map(_open, model.graph.output)):
        return
    inferred = {v.name: v for v in onnx.shape_inference.infer_shapes(model).graph.output}
    for value in model.graph.output:
        if _open(value) and not _open(inferred[value.name]):
            value.CopyFrom(inferred[value.name])
    if any(map(_open, model.graph.output)):
        _observe(model, path, runner())
    path.write_bytes(model.SerializeToString(deterministic=True))


def _open(value: ValueInfoProto) -> bool:
    kind = value.type.WhichOneof("value")
    tensor = value.type.tensor_type
    return kind is None or (
        kind == "tensor_type" and not (tensor.elem_type and tensor.HasField("shape"))
    )


def _observe(model: ModelProto, path: Path, run: Run) -> None:
    inputs = signature_of(model, str(path), outputs=False).inputs
    for tensor in inputs:
        if any(isinstance(size, str) and size != "batch" for size in tensor.shape):
            raise ModelError(
                f"an output has no shape, and input '{tensor.name}' {list(tensor.shape)} has free "
                "sizes, so that no run tells it",
                where=str(path),
                hint="Run onnx.shape_inference.infer_shapes on the model, or export it again.",
            )
    two, three = (run({t.name: _zeros(t, batch) for t in inputs}) for batch in BATCHES)
    for value in model.graph.output:
        if _open(value):
            a, b = two[value.name], three[value.name]
            shape = [
                int(n) if n == m else "batch" if not axis else f"{value.name}.{axis}"
                for axis, (n, m) in enumerate(zip(a.shape, b.shape, strict=True))
            ]
            dtype = onnx.helper.np_dtype_to_tensor_dtype(a.dtype)
            value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, dtype, shape))


def _zeros(tensor: Tensor, batch: int) -> np.ndarray:
    return np.zeros([n if isinstance(n, int) else batch for n in tensor.shape], tensor.dtype)
