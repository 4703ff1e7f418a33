"""``optimize`` in the middle of training leaves no trace in what comes after."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from live_parts import SHORT, Augmented, Net
from torch.utils.data import DataLoader

import edgeopt

STEPS = 10
Trace = list[list[bytes]]


def trained(store: Path | None) -> Trace:
    """Ten steps after the middle of training; with a store, ``optimize`` is called there twice."""
    torch.manual_seed(1)
    np.random.seed(2)
    random.seed(3)
    own = np.random.default_rng(4)
    shared = torch.Generator().manual_seed(5)
    data = Augmented(noise=lambda: float(own.normal(0, 0.01)) + random.gauss(0, 0.01))
    loader = DataLoader(data, batch_size=8, shuffle=True, generator=shared)
    model = Net().train()
    seen: list[int] = []
    model.conv.register_forward_hook(lambda *_: seen.append(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    batches = iter(loader)

    def step() -> float:
        nonlocal batches
        try:
            x, y = next(batches)
        except StopIteration:
            batches = iter(loader)
            x, y = next(batches)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        return float(loss.detach())

    for _ in range(3):
        optimizer.zero_grad()
        step()
        optimizer.step()
    optimizer.zero_grad()
    step()  # gradients half accumulated
    if store is not None:
        before = len(seen)
        for _ in range(2):
            result = edgeopt.optimize(model, data=loader, store=store, quick=True, **SHORT)
            assert result.targets[0].verdict == "chosen"
        assert len(seen) == before, "the caller's hooks see nothing of it"
    trace: Trace = []
    for number in range(STEPS):
        loss = step()
        if number % 2:
            optimizer.step()
            optimizer.zero_grad()
        held = [t.detach().numpy().tobytes() for t in model.state_dict().values()]
        grads = [b"" if p.grad is None else p.grad.numpy().tobytes() for p in model.parameters()]
        trace.append([np.float64(loss).tobytes(), *held, *grads])
    draws: list[Any] = [torch.rand(3).numpy(), np.random.rand(3), random.random(), own.random()]
    trace.append([np.asarray(draw).tobytes() for draw in draws])
    assert model.training
    return trace


def test_the_next_ten_steps_are_equal_to_the_bit(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    plain, disturbed = trained(None), trained(tmp_path / "store")
    assert len(plain) == STEPS + 1
    for number, (a, b) in enumerate(zip(plain, disturbed, strict=True)):
        assert a == b, f"step {number}"
    assert torch.get_num_threads() == threads and torch.is_grad_enabled()


def test_the_test_above_would_see_a_single_draw() -> None:
    with pytest.MonkeyPatch.context() as patch:
        original = Augmented.__len__
        patch.setattr(Augmented, "__len__", lambda self: (torch.rand(1), original(self))[1])
        assert trained(None) != trained_plainly()


def trained_plainly() -> Trace:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Augmented, "__len__", lambda self: len(self.x))
        return trained(None)
