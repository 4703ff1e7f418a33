from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.schema.measurement import Measurement, figure
from edgeopt.schema.shown import whole

BASE = {"us": 1e-3, "ms": 1.0, "s": 1e3, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (1.62, "ms", "1.62 ms"),
        (0.0852, "ms", "85.2 us"),
        (0.99996, "ms", "1.00 ms"),
        (12345.0, "ms", "12.3 s"),
        (0.0, "ms", "0 ms"),
        (312_456, "bytes", "312 kB"),
        (999_999, "bytes", "1.00 MB"),
        (17, "bytes", "17 B"),
        (0, "bytes", "0 B"),
        (0.9342, "fraction", "93.4%"),
        (0.9999, "fraction", "100.0%"),
        (-0.0031, "pt", "-0.31pt"),
        (0.41, "x", "0.41x"),
        (12.345, "x", "12.3x"),
        (123.45, "x", "123x"),
        (0.0412, "x", "0.041x"),
        (0.99724, "", "0.9972"),
        (41.23, "dB", "41.2 dB"),
        (36_800_000, "count", "36.8 M"),
        (376_021, "count", "376,021"),
        (float("nan"), "ms", "nan"),
    ],
)
def test_figures_as_people_read_them(value: float, unit: str, shown: str) -> None:
    assert figure(value, unit) == shown


@given(st.floats(1e-3, 1e9), st.sampled_from(["ms", "bytes"]), st.integers(2, 6))
def test_a_scaled_figure_is_the_value_to_its_digits(value: float, unit: str, digits: int) -> None:
    number, name = figure(value, unit, digits).split(" ")
    assert re.fullmatch(r"[0-9]+(\.[0-9]+)?", number)
    off = 0.5 if name == "B" else 0.51 * 10.0 ** (1 - digits) * value
    assert abs(float(number) * BASE[name] - value) <= off + 1e-12


def test_an_exact_measurement_is_its_own_interval() -> None:
    assert Measurement(quantity="size", value=7, unit="bytes").interval == (7, 7)
    wide = Measurement(quantity="accuracy", value=0.5, unit="fraction", low=0.4, high=0.6)
    assert wide.interval == (0.4, 0.6)
    assert Measurement.model_validate(wide.to_json()) == wide


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "told"),
    [
        (12.245, 12.1, 12.4, "x", "12.2x (12.1 to 12.4x)"),
        (0.08167, 0.0813, 0.0821, "x", "0.082x (0.081 to 0.082x)"),
        (0.3066, 0.3061, 0.3071, "x", "0.307x (0.306 to 0.307x)"),
        (0.1992, 0.19901, 0.19942, "ms", "199.2 us (199.0 to 199.4 us)"),
        (0.99981, 0.99980, 0.99983, "", "0.99981 (0.99980 to 0.99983)"),
        (35.25, 35.21, 35.24, "dB", "35.25 dB (35.21 to 35.24 dB)"),
        (-0.0010, -0.00104, -0.00101, "pt", "-0.100pt (-0.104 to -0.101pt)"),
        (0.9389, 0.9340, 0.9434, "fraction", "93.89% (93.40 to 94.34%)"),
        (1.05, 1.004, 1.10, "x", "1.050x (1.004 to 1.100x)"),  # which side of 1 it begins on
        (0.98, 0.96, 0.9996, "x", "0.9800x (0.9600 to 0.9996x)"),
        (0.98, 0.96, 0.999999, "x", "0.98x (0.96 to 1.00x)"),
        (1.02, 1.0, 1.04, "x", "1.02x (1.00 to 1.04x)"),
        (-0.001, -0.002, -0.00001, "pt", "-0.100pt (-0.200 to -0.001pt)"),
    ],
)
def test_a_figure_has_no_more_digits_than_tell_its_interval_apart(
    value: float, low: float, high: float, unit: str, told: str
) -> None:
    """Guards against intervals whose ends read the same, and against digits that mean nothing."""
    found = Measurement(quantity="size", value=value, unit=unit, low=low, high=high)
    assert whole(found) == told
