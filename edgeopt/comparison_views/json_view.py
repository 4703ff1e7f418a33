"""A comparison as its own JSON document."""

from __future__ import annotations

import json

from edgeopt.schema.comparison import Comparison


def draw(comparison: Comparison) -> str:
    """JSON in ASCII, indented, with a final new line."""
    return json.dumps(comparison.to_json(), indent=1) + "\n"
