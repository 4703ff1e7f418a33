"""Convolutions padded by a word, and transposed ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch.nn import functional

Tensor = torch.Tensor
aten = torch.ops.aten


def same_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1,),
    padding: str = "valid",
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Tensor | None:
    """A convolution padded by the word ``same``, with numbers; an odd one more at the end."""
    if padding != "same":
        return None
    whole = dilation[0] * (weight.shape[-1] - 1)
    first, odd = whole // 2, whole % 2
    if odd:
        x = functional.pad(x, (0, 1))
    return functional.conv1d(x, weight, bias, stride, first, dilation, groups)


def transposed_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    output_padding: Sequence[int] = (0,),
    groups: int = 1,
    dilation: Sequence[int] = (1,),
) -> Tensor | None:
    """A transposed convolution without padding, cut to size; grouped or dilated ones, and those
    over volumes, as a convolution over inputs with zeros between them.

    TFLite's own operator has no groups and no dilation, and pads nothing or ``size - stride``.
    """
    axes = weight.dim() - 2
    if x.dim() != axes + 2:
        return None
    stride, padding, extra, dilation = (
        list(each) * axes if len(each) == 1 else list(each)
        for each in (stride, padding, output_padding, dilation)
    )
    sizes = weight.shape[2:]
    plain = groups == 1 and axes < 3 and set(dilation) == {1}
    same = [k - 2 * p == s for k, p, s in zip(sizes, padding, stride, strict=True)]
    if plain and not any(extra) and (not any(padding) or all(same)):
        return None
    if not plain:
        return _over_zeros(x, weight, bias, stride, padding, extra, dilation, groups)
    lengths = [
        (n - 1) * s - 2 * p + k + e
        for n, s, p, k, e in zip(x.shape[2:], stride, padding, sizes, extra, strict=True)
    ]
    run = functional.conv_transpose1d if axes == 1 else functional.conv_transpose2d
    beyond = [max(0, e - p) for p, e in zip(padding, extra, strict=True)]
    inner = None if any(beyond) else bias
    whole = run(x, weight, inner, stride)
    for axis, (first, length, over) in enumerate(zip(padding, lengths, beyond, strict=True)):
        whole = whole.narrow(axis + 2, first, length - over)
    if any(beyond):
        whole = functional.pad(whole, [n for over in reversed(beyond) for n in (0, over)])
        if bias is not None:
            whole = whole + bias.reshape(-1, *[1] * axes)
    return whole


def _over_zeros(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    extra: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    """``stride - 1`` zeros after each input, and a convolution with the mirrored kernel."""
    axes = weight.dim() - 2
    for axis, step in enumerate(stride, 2):
        x = _spread(x, axis, step)
    ends: list[int] = []
    for k, p, e, d, s in zip(weight.shape[2:], padding, extra, dilation, stride, strict=True):
        ends = [d * (k - 1) - p, d * (k - 1) - p + e - (s - 1), *ends]
    x = functional.pad(x, ends)
    inputs, outputs = weight.shape[0] // groups, weight.shape[1]
    kernel = weight.reshape(groups, inputs, *weight.shape[1:]).transpose(1, 2)
    kernel = kernel.reshape(groups * outputs, inputs, *weight.shape[2:])
    kernel = kernel.flip(list(range(2, axes + 2)))
    run = (functional.conv1d, functional.conv2d, functional.conv3d)[axes - 1]
    return run(x, kernel, bias, 1, 0, tuple(dilation), groups)


def _spread(x: Tensor, axis: int, step: int) -> Tensor:
    """``step - 1`` zeros after each entry of an axis; never more than four axes at once."""
    if step == 1:
        return x
    shape = list(x.shape)
    before, after = prod(shape[:axis]), prod(shape[axis + 1 :])
    spread = functional.pad(x.reshape(before, shape[axis], 1, after), (0, 0, 0, step - 1))
    return spread.reshape(*shape[:axis], shape[axis] * step, *shape[axis + 1 :])


def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Tensor | None:
    """What all convolutions become in a decomposed program: the transposed ones as above."""
    if not transposed:
        return None
    return transposed_conv(x, weight, bias, stride, padding, output_padding, groups, dilation)


REPLACEMENTS: dict[Any, Callable[..., Any]] = {
    aten.conv1d.padding: same_conv1d,
    aten.conv_transpose1d.default: transposed_conv,
    aten.conv_transpose2d.input: transposed_conv,
    aten.conv_transpose3d.input: transposed_conv,
    aten.convolution.default: convolution,
}
