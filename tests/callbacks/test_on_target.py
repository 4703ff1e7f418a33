"""What a callback measures of a module, told by the names under which it is logged."""

from __future__ import annotations

from typing import Any

import pytest
import result_sample as sample

from edgeopt.callbacks.on_target import OnTarget, figures_of


def test_every_n_epochs_means_the_last_of_n() -> None:
    watch = OnTarget(None, every=3)
    assert [epoch for epoch in range(9) if watch.due(epoch)] == [2, 5, 8]
    with pytest.raises(ValueError, match="from 1"):
        OnTarget(None, every=0)


def test_figures_are_of_the_chosen_and_of_the_fastest_int8_form() -> None:
    target = sample.sample_target()
    int8 = frozenset({"int8", "qdq"})
    candidates = [
        c.model_copy(update={"description": c.description.model_copy(update={"facts": int8})})
        if c.description and c.status in ("lost", "screened") else c for c in target.candidates
    ]  # fmt: skip
    found = figures_of(sample.sample_result(sample.sample_target(candidates=tuple(candidates))))
    chosen, fastest = target.candidates[1].measurements, target.candidates[2].measurements
    assert found["edgeopt/latency_p50_ms"] == chosen["latency.p50"].value
    assert found["edgeopt/accuracy"] == chosen["accuracy"].value
    assert found["edgeopt/x_reference"] == 0.412 and found["edgeopt/size_bytes"] == 3.29e5
    assert found["edgeopt/int8_x_reference"] == fastest["ratio.latency.p50"].value == 0.417
    assert "edgeopt/instructions" not in found


def test_where_nothing_was_chosen_there_is_nothing_but_int8() -> None:
    unmet = sample.sample_target(chosen=None, verdict="unmet")
    assert figures_of(sample.sample_result(unmet)) == {}


def test_nothing_is_refused_unless_the_caller_bounds_it() -> None:
    bounds: dict[str, Any] = {"constraints": ["size <= 1 MB"]}
    assert OnTarget(None).fields == {"constraints": []}
    assert OnTarget(None, **bounds).fields == bounds
