"""ONNX models -> torch modules with their own plan, code and weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeopt.passes.to_torch_onnx import ToTorch
from edgeopt.rebuilding.onnx_nodes import rebuilt
from edgeopt.step import PassContext


def run(step: ToTorch, model: Any, ctx: PassContext) -> Path:
    """The folder of a torch artifact whose factory builds the network of a plan."""
    signature = ctx.description.signature
    plan = rebuilt(model, signature)
    said = {
        t.name: {"shape": list(t.shape), "dtype": t.dtype, "layout": t.layout}
        for t in signature.inputs
    }
    return plan.write(ctx.workdir / "rebuilt", said)
