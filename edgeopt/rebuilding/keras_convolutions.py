"""Convolutions of Keras as torch's: kernels transposed, padding written out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeopt.rebuilding.keras_parts import (
    Rebuild,
    activated,
    check_channels_last,
    padded,
    refused,
)
from edgeopt.rebuilding.plan import Plan, Size, Value, same_padding


def _convolution(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    """Conv1D, Conv2D, Conv3D and those by depth: kernels (..., in, out) become (out, in, ...)."""
    (x,), rank = taken, len(layer.kernel_size)
    check_channels_last(layer, name)
    by_depth = type(layer).__name__.startswith("Depthwise")
    kernel, *bias = (np.asarray(w) for w in layer.get_weights())
    channels = int(x.shape[-1] or 0)
    if by_depth:  # (..., in, multiplier)
        weight = np.moveaxis(kernel.reshape(*kernel.shape[:-2], -1), -1, 0)[:, None]
        made, groups = channels * kernel.shape[-1], channels
    else:
        weight = np.moveaxis(kernel, (-1, -2), (0, 1))
        made, groups = layer.filters, layer.groups
    x = plan.channels_first(x)
    before, padding = _padding(layer, name, x)
    if before:
        x = padded(plan, f"{name}_pad", x, before, 0.0)
    value = plan.layer(
        name,
        f"Conv{rank}d",
        x,
        shape,
        {
            "in_channels": channels,
            "out_channels": made,
            "kernel_size": list(layer.kernel_size),
            "stride": list(layer.strides),
            "padding": padding,
            "dilation": list(layer.dilation_rate),
            "groups": groups,
            "bias": bool(bias),
        },
        {"weight": weight, **({"bias": bias[0]} if bias else {})},
    )
    return activated(plan, layer.activation, name, plan.keeping(x, value))


def _separable(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    """SeparableConv1D and 2D: one by depth, and one of kernel 1."""
    (x,), rank = taken, len(layer.kernel_size)
    check_channels_last(layer, name)
    deep, point, *bias = (np.asarray(w) for w in layer.get_weights())
    channels, multiplier = int(x.shape[-1] or 0), deep.shape[-1]
    x = plan.channels_first(x)
    before, padding = _padding(layer, name, x)
    if before:
        x = padded(plan, f"{name}_pad", x, before, 0.0)
    between = (*shape[:-1], channels * multiplier)
    middle = plan.layer(
        f"{name}_depthwise", f"Conv{rank}d", x, between,
        {"in_channels": channels, "out_channels": channels * multiplier,
         "kernel_size": list(layer.kernel_size), "stride": list(layer.strides), "padding": padding,
         "dilation": list(layer.dilation_rate), "groups": channels, "bias": False},
        {"weight": np.moveaxis(deep.reshape(*deep.shape[:-2], -1), -1, 0)[:, None]},
    )  # fmt: skip
    value = plan.layer(
        f"{name}_pointwise", f"Conv{rank}d", plan.keeping(x, middle), shape,
        {"in_channels": channels * multiplier, "out_channels": layer.filters, "kernel_size": 1,
         "bias": bool(bias)},
        {"weight": np.moveaxis(point, (-1, -2), (0, 1)), **({"bias": bias[0]} if bias else {})},
    )  # fmt: skip
    return activated(plan, layer.activation, name, plan.keeping(x, value))


def _transposed(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    """Conv1DTranspose and Conv2DTranspose; kernels (..., out, in) become (in, out, ...)."""
    (x,), rank = taken, len(layer.kernel_size)
    check_channels_last(layer, name)
    if getattr(layer, "output_padding", None) is not None:
        raise refused(name, type(layer).__name__, "output_padding")
    kernel, *bias = (np.asarray(w) for w in layer.get_weights())
    x = plan.channels_first(x)
    padding, more = [], []
    for size, stride, dilation in zip(
        layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
    ):
        reach = (size - 1) * dilation + 1
        total = max(reach - stride, 0) if layer.padding == "same" else 0
        cut = total // 2
        padding.append(cut)
        # torch: (n - 1) * stride - 2 * cut + reach + more; TensorFlow: n * stride, or that and on
        wanted = 0 if layer.padding == "same" else max(reach - stride, 0)
        more.append(stride + wanted - reach + 2 * cut)
    if layer.padding == "same" and any(
        max((k - 1) * d + 1 - s, 0) % 2
        for k, d, s in zip(layer.kernel_size, layer.dilation_rate, layer.strides, strict=True)
    ):
        return _cut(plan, layer, name, x, shape, kernel, bias)
    if any(extra < 0 or extra >= max(s, 1) for extra, s in zip(more, layer.strides, strict=True)):
        raise refused(name, type(layer).__name__, "its padding has no twin")
    value = plan.layer(
        name, f"ConvTranspose{rank}d", x, shape,
        {"in_channels": int(x.shape[-1] or 0), "out_channels": layer.filters,
         "kernel_size": list(layer.kernel_size), "stride": list(layer.strides),
         "padding": padding, "output_padding": more, "dilation": list(layer.dilation_rate),
         "bias": bool(bias)},
        _of_transposed(kernel, bias),
    )  # fmt: skip
    return activated(plan, layer.activation, name, plan.keeping(x, value))


def _cut(
    plan: Plan, layer: Any, name: str, x: Value, shape: Sequence[Size], kernel: Any,
    bias: Sequence[Any],
) -> Value:  # fmt: skip
    """Without padding, and what is too much cut off: more at the end than at the start."""
    rank = len(layer.kernel_size)
    whole, cuts = [shape[0]], []
    for n, k, d, s in zip(x.shape[1:-1], layer.kernel_size, layer.dilation_rate, layer.strides,
                          strict=True):  # fmt: skip
        if n is None:
            raise refused(name, type(layer).__name__, "padding 'same' over a free size")
        reach = (k - 1) * d + 1
        total = max(reach - s, 0)
        whole.append((n - 1) * s + reach)
        cuts.append((-(total // 2), -(total - total // 2)))
    full = plan.layer(
        name, f"ConvTranspose{rank}d", x, (*whole, layer.filters),
        {"in_channels": int(x.shape[-1] or 0), "out_channels": layer.filters,
         "kernel_size": list(layer.kernel_size), "stride": list(layer.strides),
         "dilation": list(layer.dilation_rate), "bias": bool(bias)},
        _of_transposed(kernel, bias),
    )  # fmt: skip
    value = padded(plan, f"{name}_cut", plan.keeping(x, full), cuts, 0.0, shape)
    return activated(plan, layer.activation, name, value)


def _of_transposed(kernel: Any, bias: Sequence[Any]) -> dict[str, Any]:
    weight = np.moveaxis(kernel, (-1, -2), (0, 1))
    return {"weight": weight, **({"bias": bias[0]} if bias else {})}


def _padding(layer: Any, name: str, x: Value) -> tuple[list[tuple[int, int]], list[int]]:
    """What must be added beforehand, and torch's own padding where both sides are alike."""
    rank = len(layer.kernel_size)
    if layer.padding == "valid":
        return [], [0] * rank
    sizes = x.shape[1:-1]
    if layer.padding == "causal":
        left = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
        return [(left, 0)], [0]
    both = [
        same_padding(n, k, s, d, f"layer '{name}'")
        for n, k, s, d in zip(
            sizes, layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
        )
    ]
    if all(before == after for before, after in both):
        return [], [before for before, _ in both]
    return both, [0] * rank


LAYERS: dict[str, Rebuild] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D", "DepthwiseConv2D"),
                    _convolution),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _separable),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose"), _transposed),
}  # fmt: skip
