"""Random and other global states of a training process: fixed while it runs, put back after."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from edgeopt.training.samples import derived
from edgeopt.training_pass import TrainingSettings


@contextmanager
def determined(settings: TrainingSettings) -> Iterator[None]:
    """So many threads, deterministic kernels where there are any; all as it was afterwards."""
    python, numpy, own = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if settings.device == "cuda" else []
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    if settings.device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warned)
        torch.set_num_threads(threads)
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(own)
        for index, state in enumerate(cuda):
            torch.cuda.set_rng_state(state, index)


def seed_step(seed: int, step: int, rank: int) -> None:
    """The random states of one step of one process, whatever came before."""
    number = derived(seed, f"step of {rank}", step)
    random.seed(number)
    np.random.seed(number % 2**32)
    torch.manual_seed(number)
