"""A comparison as Bencher Metric Format JSON: B's own figures, a benchmark for each target.

The format is that of bencher.dev, "Bencher Metric Format": benchmark, measure, ``value`` and its
bounds. Fractions, times (ms) and sizes (bytes) are in the units of edgeopt's figures.
"""

from __future__ import annotations

import json

from edgeopt.schema.comparison import Comparison


def draw(comparison: Comparison) -> str:
    """The whole document."""
    found = {
        pair.target: {
            name: {
                "value": figure.value,
                **({} if figure.low is None else {"lower_value": figure.low}),
                **({} if figure.high is None else {"upper_value": figure.high}),
            }
            for name, figure in sorted(pair.b.measurements.items())
        }
        for pair in comparison.pairs
    }
    return json.dumps(found, indent=1) + "\n"
