from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgeopt.decide.verdict import judge, missing
from edgeopt.schema.base import canonical
from edgeopt.schema.constraint import Constraint, parse_constraint
from edgeopt.schema.errors import UsageError
from edgeopt.schema.measurement import Measurement


def figure_of(
    quantity: str, value: float, unit: str, low: float | None = None, high: float | None = None
) -> Measurement:
    return Measurement(quantity=quantity, value=value, unit=unit, low=low, high=high)


ACCURACY = figure_of("accuracy", 0.9342, "fraction", 0.927, 0.941)
SOURCE = figure_of("accuracy", 0.9373, "fraction", 0.930, 0.944)
PAIRED = figure_of("difference.accuracy", -0.0031, "fraction", -0.0055, -0.0007)
SIZE, SOURCE_SIZE = (figure_of("size", value, "bytes") for value in (312_456, 1_242_536))
LATENCY = figure_of("latency.p50", 1.62, "ms", 1.58, 1.66)
RATIO = figure_of("ratio.latency.p50", 0.41, "x", 0.40, 0.42)


def said(text: str, *measured: Measurement | None) -> str:
    return judge(parse_constraint(text), *measured).sentence


@pytest.mark.parametrize(
    ("text", "measured", "sentence"),
    [
        (
            "accuracy >= source - 1.0pt",
            (ACCURACY, SOURCE, PAIRED),
            "accuracy 93.42% is -0.31pt against source (95% interval -0.55 to -0.07pt); "
            "allowed -1.0pt: pass",
        ),
        (
            "accuracy >= source - 0.25pt",
            (ACCURACY, SOURCE, PAIRED),
            "accuracy 93.42% is -0.31pt against source (95% interval -0.55 to -0.07pt); "
            "allowed -0.25pt: inconclusive",
        ),
        (
            "accuracy >= source",
            (ACCURACY, SOURCE, PAIRED),
            "accuracy 93.42% is -0.31pt against source (95% interval -0.55 to -0.07pt); "
            "required no less than source: fail",
        ),
        (
            "accuracy >= 93%",
            (ACCURACY,),
            "accuracy 93.42% (95% interval 92.70 to 94.10%); required at least 93%: inconclusive",
        ),
        ("size <= 400 kB", (SIZE,), "size 312 kB; allowed at most 400 kB: pass"),
        (
            "size <= 0.2x source",
            (SIZE, SOURCE_SIZE),
            "size 312 kB is 0.25x source; allowed at most 0.2x source: fail",
        ),
        (
            "size <= source - 1 MB",
            (SIZE, SOURCE_SIZE),
            "size 312 kB is -930 kB against source; required 1 MB below source: fail",
        ),
        (
            "size <= source",
            (SIZE, SIZE),
            "size 312 kB equals source; required no more than source: pass",
        ),
        (
            "latency.p50 <= 0.7x source",
            (LATENCY, None, None, RATIO),
            "latency.p50 1.62 ms is 0.41x source (95% interval 0.40 to 0.42x); "
            "allowed at most 0.7x source: pass",
        ),
        (
            "latency.p50 <= 1.6 ms",
            (LATENCY,),
            "latency.p50 1.62 ms (95% interval 1.58 to 1.66 ms); "
            "allowed at most 1.6 ms: inconclusive",
        ),
    ],
)
def test_verdicts_say_why(
    text: str, measured: tuple[Measurement | None, ...], sentence: str
) -> None:
    assert said(text, *measured) == sentence


FINITE = st.floats(-1e6, 1e6)


@given(FINITE, FINITE, FINITE, st.floats(0, 1e6), st.sampled_from(["<=", ">="]))
def test_the_whole_interval_decides(a: float, b: float, c: float, bound: float, op: str) -> None:
    low, value, high = sorted((a, b, c))
    quantity, unit = ("latency.p50", "ms") if op == "<=" else ("fidelity.sqnr", "dB")
    constraint = Constraint.model_validate(
        {"text": "t", "quantity": quantity, "op": op, "basis": "absolute", "bound": bound}
    )
    assume(all(abs(x - bound) > 1e-6 * max(1, bound) or x == bound for x in (low, high)))
    verdict = judge(constraint, figure_of(quantity, value, unit, low, high))
    good = (high <= bound) if op == "<=" else (low >= bound)
    bad = (low > bound) if op == "<=" else (high < bound)
    assert verdict.verdict == ("pass" if good else "fail" if bad else "inconclusive")
    assert verdict.margin == (bound - value if op == "<=" else value - bound)
    assert (verdict.value, verdict.low, verdict.high) == (value, low, high)
    assert verdict.sentence.endswith(f": {verdict.verdict}")
    canonical(verdict.to_json())


def test_touching_the_bound_counts() -> None:
    touching = figure_of("latency.p50", 7.5, "ms", 7.0, 8.0)
    assert judge(parse_constraint("latency.p50 <= 8 ms"), touching).verdict == "pass"
    assert judge(parse_constraint("latency.p50 <= 7 ms"), touching).verdict == "inconclusive"


def test_rounding_makes_no_verdict() -> None:
    """0.92 - 0.93 is -0.010000000000000009 and 1.005 kB is 1004.9999999999999 bytes."""
    mine, source = (figure_of("accuracy", value, "fraction") for value in (0.92, 0.93))
    assert judge(parse_constraint("accuracy >= source - 1pt"), mine, source).verdict == "pass"
    size = figure_of("size", 1005, "bytes")
    assert judge(parse_constraint("size <= 1.005 kB"), size).verdict == "pass"
    assert judge(parse_constraint("size <= 1.004 kB"), size).verdict == "fail"


def test_the_paired_figure_is_preferred_to_the_two_alone() -> None:
    constraint = parse_constraint("accuracy >= source - 1.0pt")
    assert judge(constraint, ACCURACY, SOURCE, PAIRED).verdict == "pass"
    alone = judge(constraint, ACCURACY, SOURCE)
    assert (alone.low, alone.high) == pytest.approx((0.927 - 0.944, 0.941 - 0.930))
    assert alone.verdict == "inconclusive"


POSITIVE = st.floats(0.01, 1e6)


@given(st.lists(POSITIVE, min_size=3, max_size=3), st.lists(POSITIVE, min_size=3, max_size=3))
def test_an_unpaired_ratio_is_as_wide_as_both_intervals_allow(
    mine: list[float], theirs: list[float]
) -> None:
    low, value, high = sorted(mine)
    source_low, source_value, source_high = sorted(theirs)
    verdict = judge(
        parse_constraint("memory.peak <= 0.5x source"),
        figure_of("memory.peak", value, "bytes", low, high),
        figure_of("memory.peak", source_value, "bytes", source_low, source_high),
    )
    assert verdict.unit == "x"
    assert (verdict.low, verdict.high) == (low / source_high, high / source_low)
    assert verdict.low <= verdict.value <= verdict.high


@pytest.mark.parametrize(
    ("text", "measured", "told"),
    [
        ("accuracy >= 0.9", (None,), "accuracy was not measured"),
        ("accuracy >= source", (ACCURACY,), "accuracy of the source was not measured"),
        ("size <= 0.5x source", (SIZE,), "size of the source was not measured"),
        (
            "size <= 0.5x source",
            (SIZE, figure_of("size", 0, "bytes")),
            "size of the source may be zero",
        ),
    ],
)
def test_a_missing_measurement_is_named(
    text: str, measured: tuple[Measurement | None, ...], told: str
) -> None:
    constraint = parse_constraint(text)
    assert told in missing(constraint, *measured)
    with pytest.raises(UsageError, match="cannot be judged") as caught:
        judge(constraint, *measured)
    assert text in caught.value.what and told in caught.value.what


def test_nothing_is_missing_where_the_paired_figure_is_there() -> None:
    assert missing(parse_constraint("accuracy >= source"), ACCURACY, None, PAIRED) == ""
    assert missing(parse_constraint("latency.p50 <= 1x source"), LATENCY, None, None, RATIO) == ""
