"""What a result says beside its choice."""

from __future__ import annotations

import pytest

from edgeopt.pipeline.results import slower
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import CandidateResult, TargetResult


@pytest.mark.parametrize(
    ("low", "value", "high", "noted"),
    [(1.02, 1.1, 1.2, True), (0.98, 1.1, 1.2, False), (0.5, 0.6, 0.7, False)],
)
def test_a_choice_that_is_proven_slower_is_noted(
    low: float, value: float, high: float, noted: bool
) -> None:
    name = "ratio.latency.p50"
    ratio = Measurement(quantity=name, value=value, unit="x", low=low, high=high)
    chosen = CandidateResult(
        id="t#c", chain=(), label="c", status="chosen", reason="", measurements={name: ratio}
    )
    found = TargetResult(
        target="t", objective="size", machine={}, candidates=(chosen,), chosen="t#c",
        verdict="chosen", sentence="",
    )  # fmt: skip
    assert bool(slower(found)) is noted
    assert slower(found.model_copy(update={"chosen": None})) == ""
