"""Ends of a range: which samples count as flattened, on which side, and in which channel."""

from __future__ import annotations

import numpy as np
import pytest
from nearness import drawn

from edgeopt.answers.ends import flattened
from edgeopt.answers.profile import profile


def names(mine: np.ndarray, theirs: np.ndarray) -> list[str]:
    return [part.name for part in flattened(mine, theirs, profile(theirs))]


def test_an_equal_answer_has_no_flat_end() -> None:
    source = drawn(300, 4)
    assert names(source, source) == []


@pytest.mark.parametrize("share", [0.05, 0.2])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_flat_end_is_found_on_its_side(share: float, sign: int) -> None:
    source = sign * drawn(1000, 1)
    copy = sign * np.minimum(sign * source, np.quantile(sign * source, 1 - share))
    word = "highest" if sign == 1 else "lowest"
    (name,) = names(copy, source)
    assert name.startswith(f"the {word} values of ")


def test_the_channel_that_is_flat_is_named() -> None:
    source = drawn(500, 3) * np.array([10, 1, 10])
    copy = source.copy()
    copy[:, 1] = np.minimum(copy[:, 1], 1.0)
    (name,) = names(copy, source)
    assert name.startswith("channel 1 of axis 1")


def test_rare_and_short_clips_are_no_flat_ends() -> None:
    source = drawn(1000, 1)
    assert names(np.minimum(source, np.quantile(source, 0.98)), source) == []
    narrow = np.clip(source, -1, 1) + 0.001 * drawn(1000, 1, seed=1)
    assert names(np.minimum(narrow, 1.0), narrow) == []


def test_coarse_steps_are_no_flat_end() -> None:
    source = np.random.default_rng(0).uniform(0, 1, (1000, 1))
    assert names(np.round(source * 10) / 10, source) == []
    assert names(np.round(source * 100) / 100, source) == []


def test_the_error_is_what_lies_past_the_end() -> None:
    source = np.linspace(0, 1, 1001)[:, np.newaxis]
    (part,) = flattened(np.minimum(source, 0.8), source, profile(source))
    assert part.sums.noise == pytest.approx(np.square(np.linspace(0, 0.2, 201)).sum(), rel=0.02)
