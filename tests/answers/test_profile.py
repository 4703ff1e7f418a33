from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nearness import drawn

from edgeopt.answers.profile import CELLS, profile, profiled, spreads


def test_a_profile_is_of_each_value_over_samples() -> None:
    source = 5 + drawn(300, 4) * [1, 2, 3, 4]
    told = profile(source)
    assert np.allclose(told.mean, source.mean(axis=0))
    assert np.allclose(told.scale, source.std(axis=0))
    assert (told.low, told.high) == (source.min(), source.max())
    assert not told.whole and set(told.axes) == {1}


def test_names_have_no_profile_of_amounts() -> None:
    told = profile(np.random.default_rng(0).integers(0, 5, 300))
    assert told.whole and not told.axes


def test_it_is_made_once_for_an_array() -> None:
    source = drawn(50, 4)
    assert profile(source) is profile(source)


def test_what_a_source_masks_has_no_part_in_it() -> None:
    at, scores = drawn(400, 6, seed=1) > 0.5, drawn(400, 6)
    assert profile(np.where(at, -1e9, scores)).high - profile(np.where(at, -np.inf, scores)).low < 9


def test_a_slice_of_another_size_is_a_group_of_its_own() -> None:
    source = drawn(300, 5) * [1, 1, 100, 1, 1]
    largest, apart = profile(source).groups
    assert (largest.name, apart.name) == ("", "channel 2 of axis 1")
    assert apart.of(source).tolist() == source[:, 2].tolist()
    assert largest.of(source).shape == (300, 4)
    (alone,) = profile(source / [1, 1, 100, 1, 1]).groups
    assert alone.of(source) is source


def test_a_slice_that_hardly_ever_moves_is_no_group() -> None:
    source = drawn(300, 5)
    source[:, 2] = 0
    source[:3, 2] = 1e3
    assert len(profile(source).groups) == 1
    assert not profile(source).axes[1].events[2], "three samples"
    assert profile(source).axes[1].moves.tolist() == [True, True, False, True, True]


@given(st.integers(2, 40), st.floats(-1e6, 1e6))
def test_an_output_that_never_varies_has_a_tenth_of_itself_for_its_spread(
    n: int, value: float
) -> None:
    told = profiled(np.full((n, 3), value))
    assert not told.axes
    expected = abs(value) / 10 or 1.0
    assert told.scale.tolist() == pytest.approx([expected] * 3)


def test_a_value_that_does_not_vary_beside_others_counts_as_a_hundredth_of_the_range() -> None:
    source = np.concatenate([drawn(300, 2), np.full((300, 1), 0.5)], axis=1)
    told = profile(source)
    assert told.scale[2] == pytest.approx((told.high - told.low) / 100)
    faint = profile(np.concatenate([drawn(300, 2), 1e-4 * drawn(300, 1, seed=1)], axis=1))
    assert faint.scale[2] == pytest.approx((faint.high - faint.low) / 1000)


def test_no_value_counts_as_varying_by_less_than_it_is_told() -> None:
    told = profiled(drawn(300, 4) * [1, 1, 1, 0.01], least=0.5)
    assert told.scale[3] == 0.5 and told.scale[0] > 0.8
    assert (told.steps >= 0.5).all()


def test_steps_are_those_of_a_group_s_own_range() -> None:
    source = drawn(300, 5) * [1, 1, 100, 1, 1]
    told = profile(source)
    assert told.step == (told.high - told.low) / 255
    assert told.steps[2] == pytest.approx(np.ptp(source[:, 2]) / 255)
    assert told.steps[0] == pytest.approx(told.step)
    narrow = source * [1, 1, 1e-4, 1, 1]
    assert profile(narrow).steps[2] == pytest.approx(np.ptp(narrow[:, 2]) / 255)


def test_products_are_of_centred_and_scaled_values() -> None:
    source = drawn(300, 4)
    energy, noise, own, dot = profile(source).products(source, source)
    assert np.allclose(energy, own) and np.allclose(energy, dot) and not noise.any()
    assert np.allclose(energy.mean(axis=0), 1)
    far = profile(source).products(source + source.std(axis=0), source)
    assert np.allclose(far[1], 1)


def test_cells_are_looked_at_where_a_sample_has_few_values() -> None:
    told = profile(drawn(60, 3, 4))
    assert set(told.axes) == {1, 2, CELLS}
    assert told.channel(CELLS, 5).name == "value [1, 1]"
    assert told.channel(2, 3).name == "channel 3 of axis 2"
    assert CELLS not in profile(drawn(20, 40, 40)).axes and CELLS not in profile(drawn(60, 3)).axes
    assert not told.axes[CELLS].odd.any(), "they make no groups"


def test_sums_along_an_axis_are_of_all_others() -> None:
    told, values = profile(drawn(60, 3, 4)), np.ones((5, 3, 4))
    assert told.along(values, 1).tolist() == [20] * 3
    assert told.along(values, 2).tolist() == [15] * 4
    assert told.along(values, CELLS).tolist() == [5] * 12


def test_spreads_are_those_of_slices_over_samples() -> None:
    values = drawn(2000, 3, 4) * np.array([1, 2, 3])[:, None] + np.arange(4)
    found = spreads(values, [1, 2])
    assert found[1] == pytest.approx([1, 2, 3], rel=0.1)
    assert found[2] == pytest.approx([np.sqrt(14 / 3)] * 4, rel=0.1)
    assert spreads(drawn(2000), [1])[1] == pytest.approx([1], rel=0.1)
