"""Which precision the forward pass of a training has."""

from __future__ import annotations

import torch

from edgeopt.agent import machine
from edgeopt.training_pass import TrainingSettings

BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # CPU features by the kernel's names: x86, Arm


def precision_on(device: str, settings: TrainingSettings) -> str:
    """``float32``, ``bfloat16`` or ``float16``; ``auto`` is bfloat16 where ``device``, ``cpu`` or
    ``cuda``, has instructions for it. Without them, torch's bfloat16 takes several times as long
    as float32.
    """
    if settings.precision != "auto":
        return settings.precision
    if device == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = not BFLOAT16.isdisjoint(machine.facts()["features"])
    return "bfloat16" if able else "float32"
