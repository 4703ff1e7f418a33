from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from edgeopt.training import TrainingSettings
from edgeopt.training.states import determined, seed_step

Drawn = tuple[float, float, float]


def drawn() -> Drawn:
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_random_states_are_as_they_were_whatever_is_drawn_meanwhile() -> None:
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        states = random.getstate(), torch.get_rng_state()
        expected = drawn()
        random.setstate(states[0])
        np.random.seed(seed)
        torch.set_rng_state(states[1])
        with pytest.raises(KeyError), determined(TrainingSettings()):
            seed_step(9, 9, 9)
            drawn()
            raise KeyError
        assert drawn() == expected


def test_threads_and_kernels_are_set_meanwhile_and_put_back() -> None:
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with determined(TrainingSettings(threads=3)):
        assert torch.get_num_threads() == 3
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert torch.get_num_threads() == threads
    assert torch.are_deterministic_algorithms_enabled() is strict


def test_a_step_s_states_depend_on_seed_step_and_process_alone() -> None:
    def after(*given: int) -> Drawn:
        seed_step(*given)
        return drawn()

    with determined(TrainingSettings()):
        first = after(0, 5, 0)
        drawn()
        assert after(0, 5, 0) == first
        others = [after(1, 5, 0), after(0, 6, 0), after(0, 5, 1)]
        for each in others:
            assert all(a != b for a, b in zip(each, first, strict=True))
