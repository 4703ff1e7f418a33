from __future__ import annotations

import json

from comparison_sample import sample_comparison

from edgeopt.comparison_views import json_view
from edgeopt.schema.comparison import Comparison


def test_the_document_is_read_back_as_it_was() -> None:
    comparison = sample_comparison()
    drawn = json_view.draw(comparison)
    assert Comparison.model_validate(json.loads(drawn)) == comparison
    assert drawn.isascii() and drawn.endswith("}\n")
