from __future__ import annotations

from typing import Any

from edgeopt.report.compared import answered, rows
from edgeopt.schema.comparison import Answers, ComparedPair, ComparedSide
from edgeopt.schema.measurement import Measurement


def measured(quantity: str, value: float, unit: str = "fraction") -> dict[str, Measurement]:
    return {quantity: Measurement(quantity=quantity, value=value, unit=unit)}


def pair(a: Any, b: Any, against: Any) -> ComparedPair:
    sides = [ComparedSide(name=n, target="t", measurements=m) for n, m in (("a", a), ("b", b))]
    return ComparedPair(target="t", a=sides[0], b=sides[1], against=against)


def test_quantities_stand_in_b_s_order_and_fidelity_last() -> None:
    a = measured("accuracy", 0.9) | measured("load_time", 3, "ms")
    b = (measured("fidelity.cosine", 0.99, "") | measured("size", 17, "bytes")
         | measured("accuracy", 0.8))  # fmt: skip
    found = rows(pair(a, b, measured("difference.accuracy", -0.1)))
    assert [row[0] for row in found] == ["size", "accuracy", "load_time", "fidelity.cosine"]
    assert found[1] == ("accuracy", "90.00%", "80.00%", "-10.00pt")
    assert found[0] == ("size", "", "17 B", "")
    assert found[2] == ("load_time", "3.00 ms", "", "")


def test_fidelity_is_b_s_to_a_and_none_of_its_own() -> None:
    (row,) = rows(pair({}, measured("fidelity.cosine", 0.99, ""), {}))
    assert row == ("fidelity.cosine", "", "", "0.9900")
    both = measured("fidelity.cosine", 0.99, "")
    (row,) = rows(pair(both, both, measured("difference.fidelity.cosine", 0.01, "")))
    assert row == ("fidelity.cosine", "0.9900", "0.9900", "+0.0100"), "each to its own source"


def test_a_ratio_and_a_difference_stand_beside_each_other() -> None:
    one = measured("latency.p50", 2.0, "ms")
    against = measured("ratio.latency.p50", 0.5, "x") | measured(
        "difference.latency.p50", -2.0, "ms"
    )
    (row,) = rows(pair(one, one, against))
    assert row[3] == "0.50x; -2.00 ms"


def test_differing_answers_are_told_with_their_test_where_there_are_labels() -> None:
    plain = answered(Answers(n=10_000, changed=12, worst=7))
    assert plain == (
        "12 of 10,000 samples get a different top class; outputs differ most for sample 7"
    )
    tested = answered(Answers(n=10_000, changed=12, worst=7, gained=8, lost=4, p=0.25))
    assert "; B alone is right on 8, A alone on 4 (McNemar's mid-p 0.25);" in tested
