"""Keras layers with weights that are no convolutions: dense, norms, embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from edgeopt.agent.tf_network import keras
from edgeopt.rebuilding.keras_parts import (
    Rebuild,
    activated,
    refused,
)
from edgeopt.rebuilding.plan import Plan, Size, Value


def _dense(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    (x,) = taken
    kernel, *bias = (np.asarray(w) for w in layer.get_weights())
    if x.rows:
        order = np.moveaxis(np.arange(prod(x.rows)).reshape(x.rows), -1, 0).reshape(-1)
        kernel = kernel[order]
    else:
        x = plan.last(x)
    value = plan.layer(
        name, "Linear", x, shape,
        {"in_features": kernel.shape[0], "out_features": kernel.shape[1], "bias": bool(bias)},
        {"weight": kernel.T, **({"bias": bias[0]} if bias else {})},
    )  # fmt: skip
    return activated(plan, layer.activation, name, value)


def _batch_normed(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    (x,) = taken
    if layer.axis not in (-1, x.rank - 1):
        raise refused(name, type(layer).__name__, f"axis {layer.axis}")
    x = plan.channels_first(plan.last(x) if x.rows else x)
    held = {part: np.asarray(getattr(layer, part)) for part in ("moving_mean", "moving_variance")}
    n = len(held["moving_mean"])
    gamma = np.asarray(layer.gamma) if layer.scale else np.ones(n, np.float32)
    beta = np.asarray(layer.beta) if layer.center else np.zeros(n, np.float32)
    value = plan.layer(
        name, f"BatchNorm{max(x.rank - 2, 1)}d", x, shape,
        {"num_features": n, "eps": float(layer.epsilon), "momentum": 1.0 - float(layer.momentum)},
        {"weight": gamma, "bias": beta, "running_mean": held["moving_mean"],
         "running_var": held["moving_variance"],
         "num_batches_tracked": np.zeros((), np.int64)},
    )  # fmt: skip
    return plan.keeping(x, value)


def _layer_normed(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    x = plan.last(taken[0])
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    if [axis % x.rank for axis in axes] != [x.rank - 1]:
        raise refused(name, type(layer).__name__, f"axis {layer.axis}")
    n = int(x.shape[-1] or 0)
    weights = {
        "weight": np.asarray(layer.gamma) if layer.scale else np.ones(n, np.float32),
        "bias": np.asarray(layer.beta) if layer.center else np.zeros(n, np.float32),
    }
    return plan.layer(name, "LayerNorm", x, shape,
                      {"normalized_shape": [n], "eps": float(layer.epsilon)}, weights)  # fmt: skip


def _affine(
    plan: Plan, name: str, x: Value, shape: Sequence[Size], scale: Any, offset: Any
) -> Value:
    """By channel, (c,) each, or one number."""
    scale, offset = (np.asarray(each, np.float32).reshape(-1) for each in (scale, offset))
    scale, offset = np.broadcast_arrays(scale, offset)
    x = plan.last(x) if x.rows else x
    lies = (-1, *[1] * (x.rank - 2)) if x.first else (-1,)
    held = {"weight": scale.reshape(lies), "bias": offset.reshape(lies)}
    made = plan.layer(name, "Affine", x, shape, {"shape": list(held["weight"].shape)}, held)
    return plan.keeping(x, made)


def _rescaled(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    return _affine(plan, name, taken[0], shape, layer.scale, layer.offset)


def _normalized(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    mean, variance = (np.asarray(each).reshape(-1) for each in (layer.mean, layer.variance))
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    if layer.invert or len(mean) not in (1, int(taken[0].shape[-1] or 0)):
        raise refused(name, type(layer).__name__, "its axes")
    return _affine(plan, name, taken[0], shape, 1 / deviation, -mean / deviation)


def _embedded(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    if layer.mask_zero:
        raise refused(name, type(layer).__name__, "mask_zero")
    (table,) = (np.asarray(w) for w in layer.get_weights())
    whole = plan.function("cast", [taken[0]], taken[0].shape, {"dtype": "int64"})
    return plan.layer(
        name, "Embedding", whole, shape,
        {"num_embeddings": table.shape[0], "embedding_dim": table.shape[1]}, {"weight": table},
    )  # fmt: skip


def _prelu(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    (x,) = taken
    (alpha,) = (np.asarray(w) for w in layer.get_weights())
    if alpha.size != alpha.shape[-1]:
        raise refused(name, type(layer).__name__, "a slope for each place, not for each channel")
    x = plan.channels_first(plan.last(x) if x.rows else x)
    made = plan.layer(name, "PReLU", x, shape, {"num_parameters": alpha.size},
                      {"weight": alpha.reshape(-1)})  # fmt: skip
    return plan.keeping(x, made)


def _each_step(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    """TimeDistributed of a dense layer, which works on the last axis as it is."""
    if type(layer.layer) is not keras.layers.Dense:
        raise refused(name, type(layer).__name__, f"of a {type(layer.layer).__name__}")
    return _dense(plan, layer.layer, name, taken, shape)


LAYERS: dict[str, Rebuild] = {
    "BatchNormalization": _batch_normed,
    "Dense": _dense,
    "Embedding": _embedded,
    "LayerNormalization": _layer_normed,
    "Normalization": _normalized,
    "PReLU": _prelu,
    "Rescaling": _rescaled,
    "TimeDistributed": _each_step,
}
