from __future__ import annotations

import pytest
from comparison_sample import sample_comparison
from pydantic import ValidationError

from edgeopt.schema.comparison import Answers, Comparison


def test_a_comparison_is_read_back_as_it_was_written() -> None:
    made = sample_comparison()
    assert Comparison.model_validate(made.to_json()) == made
    assert Comparison.model_validate_json(made.model_dump_json()) == made


def test_answers_without_labels_have_no_test_and_unknown_fields_are_refused() -> None:
    found = Answers.model_validate({"n": 4, "changed": 1, "worst": 0})
    assert (found.gained, found.lost, found.p) == (None, None, None)
    with pytest.raises(ValidationError, match="Extra inputs"):
        Answers.model_validate({"n": 4, "changed": 1, "worst": 0, "won": 1})
