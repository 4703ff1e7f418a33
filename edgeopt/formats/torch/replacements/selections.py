"""The largest entries, and entries in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Tensor = torch.Tensor
aten = torch.ops.aten


def topk(
    read: set[int],
    x: Tensor,
    k: int,
    dim: int = -1,
    largest: bool = True,
    ordered: bool = True,
) -> tuple[Tensor, Tensor] | None:
    """The largest entries, picked by their places: values alone would become a sort."""
    if (largest and 1 in read) or not _signed(x):
        return None
    places = (x if largest else -x).topk(k, dim)[1]
    return x.gather(dim, places), places


def sort(
    read: set[int], x: Tensor, dim: int = -1, descending: bool = False
) -> tuple[Tensor, Tensor] | None:
    """All entries as the largest, or the smallest, of which there are as many."""
    if not x.dim():
        return None
    return topk({0}, x, x.shape[dim], dim, descending)


def stable_sort(
    read: set[int],
    x: Tensor,
    *,
    stable: bool | None = None,
    dim: int = -1,
    descending: bool = False,
) -> tuple[Tensor, Tensor] | None:
    """The same: of equal entries TFLite takes the first one first."""
    return sort(read, x, dim, descending)


def argsort(x: Tensor, dim: int = -1, descending: bool = False) -> Tensor | None:
    """The places of a sort."""
    found = sort({1}, x, dim, descending)
    return found and found[1]


def stable_argsort(
    x: Tensor, *, stable: bool, dim: int = -1, descending: bool = False
) -> Tensor | None:
    """The same: of equal entries TFLite takes the first one first."""
    return argsort(x, dim, descending)


def msort(x: Tensor) -> Tensor | None:
    """The entries of a sort over the first axis."""
    found = sort({0}, x, 0)
    return found and found[0]


def _signed(x: Tensor) -> bool:
    return x.dim() > 0 and x.dtype in (torch.float32, torch.int32, torch.int64)


SELECTING: dict[Any, Callable[..., Any]] = {
    aten.sort.default: sort,
    aten.sort.stable: stable_sort,
    aten.topk.default: topk,
}
REPLACEMENTS: dict[Any, Callable[..., Any]] = {
    aten.argsort.default: argsort,
    aten.argsort.stable: stable_argsort,
    aten.msort.default: msort,
}
