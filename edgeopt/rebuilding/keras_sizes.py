"""Keras layers that change sizes alone: pooling, padding, reshaping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeopt.rebuilding.keras_parts import (
    Rebuild,
    check_channels_last,
    padded,
    refused,
)
from edgeopt.rebuilding.plan import Plan, Size, Value, same_padding


def _pooled(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    (x,), rank = taken, len(layer.pool_size)
    check_channels_last(layer, name)
    kind = "Max" if type(layer).__name__.startswith("Max") else "Avg"
    x = plan.channels_first(x)
    padding, up = [0] * rank, False
    if layer.padding == "same":
        both = [
            same_padding(n, k, s, 1, f"layer '{name}'")
            for n, k, s in zip(x.shape[1:-1], layer.pool_size, layer.strides, strict=True)
        ]
        if all(before == after for before, after in both):
            padding = [before for before, _ in both]
        elif all(before == 0 for before, _ in both):
            up = True
        else:
            raise refused(name, type(layer).__name__, "its padding has no twin")
    given = {"kernel_size": list(layer.pool_size), "stride": list(layer.strides),
             "padding": padding, "ceil_mode": up}  # fmt: skip
    if kind == "Avg":
        given["count_include_pad"] = False
    if rank == 1 and kind == "Avg":
        given = {
            key: value[0] if isinstance(value, list) else value for key, value in given.items()
        }
    return plan.keeping(x, plan.layer(name, f"{kind}Pool{rank}d", x, shape, given))


def _over_all(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    """GlobalAveragePooling and GlobalMaxPooling of any rank."""
    (x,), kind = taken, type(layer).__name__
    check_channels_last(layer, name)
    x = plan.channels_first(x)
    rank = x.rank - 2
    module = f"Adaptive{'Avg' if 'Average' in kind else 'Max'}Pool{rank}d"
    one = plan.layer(name, module, x, (x.shape[0], *[1] * rank, x.shape[-1]), {"output_size": 1})
    kept = plan.keeping(x, one)
    if layer.keepdims:
        return kept
    return plan.function("flatten", [kept], shape, {"start_dim": 1})


def _upsampled(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    (x,) = taken
    check_channels_last(layer, name)
    size = layer.size if isinstance(layer.size, tuple | list) else (layer.size,)
    how = getattr(layer, "interpolation", "nearest")
    if how not in ("nearest", "bilinear"):
        raise refused(name, type(layer).__name__, f"interpolation '{how}'")
    x = plan.channels_first(x)
    given = {"scale_factor": [float(n) for n in size], "mode": how}
    if how == "bilinear":
        given["align_corners"] = False
    return plan.keeping(x, plan.layer(name, "Upsample", x, shape, given))


def _zero_padded(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    """ZeroPadding and Cropping of one and two axes."""
    (x,) = taken
    check_channels_last(layer, name)
    cuts = type(layer).__name__.startswith("Cropping")
    given = layer.cropping if cuts else layer.padding
    sides = [tuple(pair) for pair in given] if isinstance(given[0], tuple | list) else [given]
    pairs = [(-a, -b) if cuts else (a, b) for a, b in sides]
    return padded(plan, name, plan.channels_first(x), pairs, 0.0, shape)


def _flattened(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    """Channels stay first: the layer that follows takes its weights in that order."""
    (x,) = taken
    made = plan.function("flatten", [x], shape, {"start_dim": 1})
    if not x.first or any(n is None for n in x.shape[1:]):
        return made if not x.first else plan.function(
            "flatten", [plan.last(x)], shape, {"start_dim": 1})  # fmt: skip
    return Value(made.name, made.shape, rows=tuple(int(n or 0) for n in x.shape[1:]))


def _reshaped(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    if any(n is None for n in shape[1:]):
        raise refused(name, type(layer).__name__, "its target is not fixed")
    return plan.function("reshape", [plan.last(taken[0])], shape, {"shape": list(shape[1:])})


def _exchanged(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    return plan.function("permute", [plan.last(taken[0])], shape, {"dims": [0, *layer.dims]})


LAYERS: dict[str, Rebuild] = {
    **dict.fromkeys(("MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "AveragePooling1D",
                     "AveragePooling2D", "AveragePooling3D"), _pooled),
    **dict.fromkeys(("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D",
                     "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D"), _over_all),
    **dict.fromkeys(("UpSampling1D", "UpSampling2D"), _upsampled),
    **dict.fromkeys(("ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D"), _zero_padded),
    "Flatten": _flattened,
    "Permute": _exchanged,
    "Reshape": _reshaped,
}  # fmt: skip
