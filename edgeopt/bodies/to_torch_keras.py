"""Keras models -> torch modules with their own plan, code and weights."""

from __future__ import annotations

from pathlib import Path

from edgeopt.agent import tf_network
from edgeopt.passes.to_torch_keras import ToTorch
from edgeopt.rebuilding.keras_layers import rebuilt
from edgeopt.step import PassContext


def run(step: ToTorch, model: tf_network.Network, ctx: PassContext) -> Path:
    """The folder of a torch artifact whose factory builds the network of a plan."""
    before = ctx.description.signature.inputs
    after = step.effect(ctx.description).signature.inputs
    taken = {a.name: a.shape != b.shape for a, b in zip(before, after, strict=True)}
    plan = rebuilt(model, taken)
    if plan.notes:
        ctx.found["notes"] = [f"{step.name}: {note}" for note in plan.notes]
    said = {t.name: {"shape": list(t.shape), "dtype": t.dtype, "layout": t.layout} for t in after}
    return plan.write(ctx.workdir / "rebuilt", said)
