"""A moving average of weights and buffers."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel


def average_of(module: Any, decay: float) -> Any:
    """torch's ``AveragedModel`` of ``module``, exponential, buffers included.

    The decay grows to its value, ``min(decay, (1 + n) / (10 + n))`` at update n: a short run
    forgets its first weights too.
    """

    def update(averages: Any, values: Any, count: Any) -> None:
        n = int(count)
        kept = min(decay, (1 + n) / (10 + n))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, values, 1 - kept)
        else:
            torch._foreach_copy_(averages, values)

    with torch.no_grad():
        return AveragedModel(module, multi_avg_fn=update, use_buffers=True)
