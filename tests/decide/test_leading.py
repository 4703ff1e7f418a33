from __future__ import annotations

import pytest

from edgeopt.decide.leading import leading_metric
from edgeopt.schema.constraint import parse_constraint


@pytest.mark.parametrize(
    ("bounds", "objective", "listed", "measured", "leads"),
    [
        (["size <= 1 kB", "mse <= 2"], "accuracy", ["mae"], ["accuracy"], "mse"),
        (["size <= 1 kB"], "accuracy", ["mae"], ["mse"], "accuracy"),
        ([], "latency.p50", ["mae", "mse"], ["accuracy"], "mae"),
        ([], "latency.p50", [], ["fidelity.sqnr", "mse"], "mse"),
        ([], "latency.p50", ["size"], ["fidelity.agreement"], "fidelity.agreement"),
        (["accuracy@scores >= 90%"], "size", [], [], "accuracy@scores"),
    ],
)
def test_what_is_bounded_leads_then_what_is_sought_listed_or_usual(
    bounds: list[str], objective: str, listed: list[str], measured: list[str], leads: str
) -> None:
    constraints = [parse_constraint(text) for text in bounds]
    assert leading_metric(constraints, objective, listed, measured) == leads
