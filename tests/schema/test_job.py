"""Outcomes of jobs that a store keeps from before are read."""

from __future__ import annotations

from edgeopt.schema.job import Arrays


def test_tensors_that_were_kept_before_labels_had_names_are_read() -> None:
    kept = {"split": "test", "n": 2, "arrays": {}, "labels": None}
    assert Arrays.model_validate(kept).labels == {}
