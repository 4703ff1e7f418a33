"""Exact figures that hardly differ: the smaller file is chosen."""

from __future__ import annotations

from edgeopt.decide.choose import first_of_ties
from edgeopt.schema.measurement import Measurement


def test_a_tie_of_exact_figures_goes_to_the_smaller_file() -> None:
    def of(ratio: float, size: float) -> dict[str, Measurement]:
        return {
            "ratio.instructions": Measurement(quantity="ratio.instructions", value=ratio, unit="x"),
            "size": Measurement(quantity="size", value=size, unit="bytes"),
        }

    found = {"a": of(0.400, 300), "b": of(0.4019, 200), "c": of(0.403, 100), "d": of(0.2, 9e9)}
    assert first_of_ties("instructions", found)[0] == "d"
    del found["d"]
    assert first_of_ties("instructions", found) == ["b", "a", "c"]
    assert first_of_ties("instructions", {}) == []
