"""Random states are found, and put back."""

from __future__ import annotations

import numpy as np
import torch
from live_parts import Augmented
from torch.utils.data import DataLoader

from edgeopt.live.states import generators


def test_every_generator_in_reach_is_found() -> None:
    held, shared, legacy = np.random.default_rng(0), torch.Generator(), np.random.RandomState(1)
    data = Augmented(noise=lambda: float(held.normal()) + legacy.rand())
    loader = DataLoader(data, shuffle=True, generator=shared)
    found = {id(each) for each in generators(loader)}
    assert {id(each) for each in (held, shared, legacy, data.rng)} <= found
