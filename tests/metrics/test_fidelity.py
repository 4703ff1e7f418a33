from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeopt.answers import outputs as checked
from edgeopt.answers.masks import masked, side_of
from edgeopt.answers.names import channels, names_something
from edgeopt.answers.profile import profile
from edgeopt.evaluation import compute
from edgeopt.metrics.fidelity import CEILING_DB
from edgeopt.schema.base import canonical
from edgeopt.schema.errors import DataError, ModelError

Array = np.ndarray[Any, Any]
FIDELITY = ("fidelity.cosine", "fidelity.sqnr", "fidelity.agreement")
ELEMENTS = st.floats(-100, 100, width=32)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Array, Array]:
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=5))
    return tuple(draw(hnp.arrays(np.float32, shape, elements=ELEMENTS)) for _ in range(2))


@settings(max_examples=50)
@given(pairs())
def test_figures_are_those_of_their_definitions(pair: tuple[Array, Array]) -> None:
    source = pair[1]
    assume(masked(source).at is None and side_of(source) is None)
    assume(not names_something(source) and not channels(source))
    found = {q: compute(q, {"o": pair[0]}, None, {"p": pair[1]}) for q in FIDELITY}
    alone = len(profile(pair[1]).groups) == 1
    if alone and not any(found[q].where for q in FIDELITY):
        spread = pair[1].std(axis=0, dtype=np.float64)
        moving = spread > 1e-6 * np.abs(pair[1]).max()
        scale = np.maximum(spread, np.where(moving, 1e-3, 1e-2) * np.ptp(pair[1]))
        mean = pair[1].mean(axis=0, dtype=np.float64)
        if np.ptp(pair[1]) > 1e-3:
            c, s = ((x.astype(np.float64) - mean) / scale for x in pair)
            norm = np.sqrt((s**2).sum() * (c**2).sum())
            noise = ((s - c) ** 2).sum()
            if norm > 1e-3:
                cosine = (s * c).sum() / norm
                assert found["fidelity.cosine"].value == pytest.approx(cosine, abs=1e-6)
            if noise > 1e-3 and (s**2).sum() > 1e-3:
                sqnr = 10 * np.log10((s**2).sum() / noise)
                assert found["fidelity.sqnr"].value == pytest.approx(sqnr, rel=1e-5)
    if pair[0].ndim == 2 and alone and pair[1].min() < 0:
        same = pair[0].argmax(axis=1) == pair[1].argmax(axis=1)
        assert found["fidelity.agreement"].value == np.mean(same)
    for measurement in found.values():
        assert measurement.interval[0] <= measurement.interval[1]
        canonical(measurement.to_json())  # finite, so that it can be kept


@settings(max_examples=20)
@given(pairs())
def test_equal_outputs_are_as_near_as_can_be(pair: tuple[Array, Array]) -> None:
    same = {"o": pair[0]}
    assert compute("fidelity.cosine", same, None, same).value == pytest.approx(1.0)
    assert compute("fidelity.sqnr", same, None, same).value == CEILING_DB
    assert compute("fidelity.agreement", same, None, same).value == 1.0


def test_zeros_are_alike_and_like_nothing_else() -> None:
    zeros, ones = {"o": np.zeros((4, 3))}, {"o": np.ones((4, 3))}
    assert compute("fidelity.cosine", zeros, None, zeros).value == 1.0
    assert compute("fidelity.cosine", zeros, None, ones).value == -1.0
    assert compute("fidelity.sqnr", ones, None, zeros).value == -CEILING_DB
    assert compute("fidelity.sqnr", zeros, None, ones).value == pytest.approx(-20.0)


def test_the_noise_of_a_known_level_is_found_within_its_interval() -> None:
    rng = np.random.default_rng(0)
    s = rng.normal(size=(2000, 10))
    found = compute("fidelity.sqnr", {"o": s + 0.1 * rng.normal(size=s.shape)}, None, {"o": s})
    assert found.interval[0] < 20.0 < found.interval[1]
    assert found.interval[1] - found.interval[0] < 0.5
    assert (found.unit, found.n) == ("dB", 2000)


def test_all_outputs_count_and_are_matched_by_name() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((8, 3)), rng.random((8, 3))
    source = {"a": a, "b": b}
    assert compute("fidelity.sqnr", {"b": b, "a": a}, None, source).value == CEILING_DB
    assert compute("fidelity.sqnr", {"x": a, "y": b}, None, source).value == CEILING_DB
    assert compute("fidelity.sqnr", {"a": a, "b": b + 1}, None, source).value < 20


def test_blocks_change_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    mine, source = {"o": rng.random((50, 7))}, {"o": rng.random((50, 7))}
    whole = [compute(q, mine, None, source) for q in FIDELITY]
    monkeypatch.setattr(checked, "_BLOCK_ELEMENTS", 20)
    parts = [compute(q, mine, None, {"o": source["o"].copy()}) for q in FIDELITY]
    for one, other in zip(whole, parts, strict=True):
        assert one.interval == pytest.approx(other.interval, rel=1e-9)
        assert one.value == pytest.approx(other.value, rel=1e-9)


def test_outputs_that_do_not_match_are_named() -> None:
    x = np.zeros((4, 3))
    with pytest.raises(ModelError, match="1 outputs against 2 of the source"):
        compute("fidelity.cosine", {"a": x}, None, {"a": x, "b": x})
    with pytest.raises(ModelError, match=r"output 'a' is \[4, 3\], 'b' of the source is \[4, 2\]"):
        compute("fidelity.cosine", {"a": x}, None, {"b": x[:, :2]})


@pytest.mark.parametrize("quantity", FIDELITY)
def test_an_output_that_is_not_finite_is_named_with_its_sample(quantity: str) -> None:
    good, bad = np.zeros((4, 3)), np.zeros((4, 3))
    bad[2, 0] = np.nan
    with pytest.raises(ModelError, match="output 'o' is NaN for sample 2"):
        compute(quantity, {"o": bad}, None, {"o": good})
    with pytest.raises(ModelError, match="output 'o' is NaN for sample 2"):
        compute(quantity, {"o": good}, None, {"o": bad})


def test_one_sample_gives_no_interval() -> None:
    one = {"o": np.ones((1, 3))}
    assert compute("fidelity.agreement", one, None, one).value == 1.0
    with pytest.raises(DataError, match="at least 2 samples"):
        compute("fidelity.cosine", one, None, one)
