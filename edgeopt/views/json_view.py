"""The result as its own JSON document."""

from __future__ import annotations

import json

from edgeopt.schema.result import Result


def draw(result: Result) -> str:
    """JSON in ASCII, indented, with a final new line."""
    return json.dumps(result.to_json(), indent=1) + "\n"
