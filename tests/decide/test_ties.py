"""Figures that hardly differ: which file is chosen, and which rivals are named."""

from __future__ import annotations

from selection_parts import REFERENCE, Play, candidate, terms

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


def test_of_an_accuracy_the_highest_rivals_are_named_first() -> None:
    """Guards against an order of rivals as if less were better of everything."""
    figures = {
        "reference": REFERENCE,
        "best": candidate(0.9, 0.5),
        "third": candidate(0.7, 0.3),
        "second": candidate(0.8, 0.4),
        "first": candidate(0.6, 0.45),
    }
    decision = Play(figures, terms(objective="accuracy")).run()
    assert decision.chosen == "best"
    assert "not proven better than first, second and 1 more" in decision.sentence
