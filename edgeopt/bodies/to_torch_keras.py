"""Keras models -> torch modules with their own plan, code and weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnxsim

from edgeopt.agent import tf_network
from edgeopt.converters.onnx_by_tf2onnx import to_onnx
from edgeopt.passes.export_onnx_keras import ExportOnnx
from edgeopt.passes.to_torch_keras import ToTorch
from edgeopt.rebuilding import keras_layers, onnx_nodes
from edgeopt.rebuilding.plan import Plan
from edgeopt.schema.errors import PassError
from edgeopt.step import PassContext


def run(step: ToTorch, model: tf_network.Network, ctx: PassContext) -> Path:
    """The folder of a torch artifact whose factory builds the network of a plan.

    Raises PassError that names the layer which has no twin, neither itself nor by its ONNX nodes.
    """
    before = ctx.description.signature.inputs
    after = step.effect(ctx.description).signature.inputs
    taken = {a.name: a.shape != b.shape for a, b in zip(before, after, strict=True)}
    try:
        plan = keras_layers.rebuilt(model, taken)
    except PassError as refused:
        plan = _by_nodes(model, ctx, taken, refused)
    if plan.notes:
        ctx.found["notes"] = [f"{step.name}: {note}" for note in plan.notes]
    said = {t.name: {"shape": list(t.shape), "dtype": t.dtype, "layout": t.layout} for t in after}
    return plan.write(ctx.workdir / "rebuilt", said)


def _by_nodes(
    model: tf_network.Network, ctx: PassContext, taken: Mapping[str, bool], refused: PassError
) -> Plan:
    """The plan of the network's ONNX graph. Raises ``refused`` where that has no twin either."""
    try:
        exported = to_onnx(ExportOnnx.model_validate({}), model, ctx)
        simplified, sound = onnxsim.simplify(exported)
        plan = onnx_nodes.rebuilt(
            simplified if sound else exported, ctx.description.signature, taken
        )
    except PassError as error:
        raise refused from error
    plan.notes.append(
        f"{refused.what}: rebuilt from the network's ONNX graph instead, node by node; batch "
        "norms are merged into their layers there, and dropout is left out"
    )
    return plan
