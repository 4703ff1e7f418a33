"""Images resized to the nearest pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

Tensor = torch.Tensor
aten = torch.ops.aten


def nearest2d(
    x: Tensor,
    size: Sequence[int] | None,
    scales: Sequence[float] | float | None = None,
    scale_w: float | None = None,
) -> Tensor | None:
    """Nearest pixels picked row by row and column by column, where the size is no multiple."""
    given = scales if isinstance(scales, Sequence) else (scales, scale_w)
    if size is None:
        size = [int(n * float(f or 1)) for n, f in zip(x.shape[2:], given, strict=True)]
    rows = [_nearest(n, new, f) for n, new, f in zip(x.shape[2:], size, given, strict=True)]
    if all(_repeats(picked, n) for picked, n in zip(rows, x.shape[2:], strict=True)):
        return None
    for axis, picked in enumerate(rows, 2):
        steps = set(np.diff(picked).tolist())
        if len(steps) == 1 and picked[0] == 0 and (step := steps.pop()) > 0:
            x = x[(slice(None),) * axis + (slice(0, picked[-1] + 1, step),)]
        else:
            x = x.index_select(axis, torch.tensor(picked, device=x.device))
    return x


def _nearest(size: int, new: int, factor: float | None) -> list[int]:
    """The source of each pixel along an axis, as torch's own kernel rounds."""
    if new in (size, 2 * size):
        return [place * size // new for place in range(new)]
    scale = np.float32(1.0 / factor) if factor and factor > 0 else np.float32(size) / new
    places = np.floor(np.arange(new, dtype=np.float32) * scale).astype(np.int64)
    return [int(place) for place in np.minimum(places, size - 1)]


def _repeats(picked: Sequence[int], size: int) -> bool:
    """Whether each source is taken equally often: what TFLite's own operator does."""
    times, over = divmod(len(picked), size)
    return not over and list(picked) == [place // times for place in range(len(picked))]


REPLACEMENTS: dict[Any, Callable[..., Any]] = {
    aten.upsample_nearest2d.default: nearest2d,
    aten.upsample_nearest2d.vec: nearest2d,
}
