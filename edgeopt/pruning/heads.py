"""Attention heads: of ``nn.MultiheadAttention``, and of attention written with linear layers.

Both are proposals, to be tried as all groups are: a module that says how many heads it has, by
an attribute, and the linear layers that it runs, in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from edgeopt.agent.narrow_attention import NarrowAttention
from edgeopt.pruning.groups import Group, LeftAlone, Number, Role, Slice
from edgeopt.pruning.masked import outputs
from edgeopt.pruning.tracing import Feeds

COUNTS = (
    "num_heads", "n_heads", "nheads", "nhead", "n_head", "heads", "num_attention_heads",
)  # fmt: skip


def head_groups(module: nn.Module, feeds: Feeds) -> Iterator[list[Group] | LeftAlone]:
    """For each attention, the ways its heads may go, the likeliest first, or why none can."""
    order: list[str] | None = None
    for path, each in module.named_modules():
        if isinstance(each, nn.MultiheadAttention):
            yield _builtin(path, each)
            continue
        heads = next((n for n in COUNTS if type(vars(each).get(n)) is int), None)
        if heads is None:
            continue
        if order is None:
            order = _calls(module, feeds)
        if layers := _layers(module, path, order):
            yield _written(module, path, heads, layers)


def _builtin(path: str, attention: nn.MultiheadAttention) -> list[Group] | LeftAlone:
    narrow = isinstance(attention, NarrowAttention)  # it lost heads before
    plain = type(attention) is nn.MultiheadAttention and attention._qkv_same_embed_dim
    if not plain and not narrow:
        return LeftAlone((path,), "its queries, keys and values differ in width")
    if attention.bias_k is not None or attention.add_zero_attn:
        return LeftAlone((path,), "it adds keys and values of its own")
    heads, size = attention.num_heads, attention.head_dim
    inner = heads * size
    thirds = tuple(
        tuple(part * inner + head * size + k for part in range(3) for k in range(size))
        for head in range(heads)
    )
    slices = [Slice(path, "in_proj_weight", 0, thirds, "out")]
    if attention.in_proj_bias is not None:
        slices.append(Slice(path, "in_proj_bias", 0, thirds, "shift"))
    out = f"{path}.out_proj" if path else "out_proj"
    slices.append(Slice(out, "weight", 1, _blocks(heads, size), "in"))
    numbers = (Number(path, "num_heads", 1),)
    return [Group(path, "head", heads, size, tuple(slices), numbers, () if narrow else (path,))]


def _written(
    module: nn.Module, path: str, attribute: str, layers: list[str]
) -> list[Group] | LeftAlone:
    attention: Any = module.get_submodule(path)
    heads = getattr(attention, attribute)
    there: dict[str, Any] = {name: module.get_submodule(name) for name in layers}
    *makers, reader = layers
    inner = there[reader].in_features
    widths = [there[name].out_features for name in makers]
    size, rest = divmod(inner, max(heads, 1))
    if rest or heads < 1:
        return LeftAlone(tuple(layers), f"'{path}' has {heads} heads for {inner} channels")
    if len(makers) == 1 and widths == [3 * inner]:
        parts = 3
    elif len(makers) == 3 and widths == [inner] * 3:
        parts = 1
    else:
        sizes = ", ".join(map(str, widths))
        return LeftAlone(
            tuple(layers), f"no heads are seen in linear layers of {sizes} and {inner} channels"
        )
    rows = tuple(
        tuple(part * inner + i for part in range(parts) for i in block)
        for block in _blocks(heads, size)
    )
    slices = [Slice(reader, "weight", 1, _blocks(heads, size), "in")]
    roles: tuple[tuple[str, Role], ...] = (("weight", "out"), ("bias", "shift"))
    for name in makers:
        for tensor, role in roles:
            if getattr(there[name], tensor) is not None:
                slices.append(Slice(name, tensor, 0, rows, role))
    count = Number(path, attribute, 1)
    inners = tuple(
        Number(path, name, size)
        for name, value in vars(attention).items()
        if type(value) is int and value == inner and name != attribute
    )
    ways = [(count,), (count, *inners), *([(count, n) for n in inners] if len(inners) > 1 else [])]
    ways += [()]
    return [
        Group(makers[0], "head", heads, size, tuple(slices), numbers)
        for numbers in dict.fromkeys(ways)
    ]


def _blocks(heads: int, size: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(range(head * size, (head + 1) * size)) for head in range(heads))


def _layers(module: nn.Module, path: str, order: list[str]) -> list[str]:
    """The linear layers of an attention, the one that reads the heads last.

    Where the attention itself holds queries, keys and values alone, what runs next reads them.
    Empty where another attention, or none of this, is inside.
    """
    inside = [name for name in order if name.startswith(f"{path}." if path else "")]
    linear = [n for n in inside if isinstance(module.get_submodule(n), nn.Linear)]
    within = list(module.get_submodule(path).modules())[1:]
    if not linear or any(type(vars(m).get(n)) is int for m in within for n in COUNTS):
        return []
    if len(linear) == 3:
        after = order[order.index(linear[-1]) + 1 :]
        ahead = [n for n in after if isinstance(module.get_submodule(n), nn.Linear)]
        linear += ahead[:1]
    return linear if len(linear) > 1 else []


def _calls(module: nn.Module, feeds: Feeds) -> list[str]:
    """Paths of the submodules without children in the order of their first calls."""
    order: list[str] = []
    hooks = [
        each.register_forward_hook(lambda *_, path=path: order.append(path))
        for path, each in module.named_modules()
        if next(each.children(), None) is None
    ]
    try:
        outputs(module, feeds)
    finally:
        for hook in hooks:
            hook.remove()
    return list(dict.fromkeys(order))
