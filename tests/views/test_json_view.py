from __future__ import annotations

import json

import result_sample as sample

from edgeopt.schema.result import Result
from edgeopt.views import json_view


def test_the_document_is_read_back_as_it_was() -> None:
    result = sample.sample_result()
    drawn = json_view.draw(result)
    assert Result.model_validate(json.loads(drawn)) == result
    assert drawn.isascii() and drawn.endswith("}\n")
