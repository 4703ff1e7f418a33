from __future__ import annotations

from typing import Any

import pytest
import selection_parts as parts

from edgeopt.decide.events import (
    Compared,
    Converted,
    NotRaced,
    NotScored,
    Raced,
    Scored,
    SourceScored,
)
from edgeopt.decide.ledger import Ledger, at_one
from edgeopt.decide.steps import Race
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.parity import Parity

RATIO = "ratio.latency.p50"


@pytest.fixture
def ledger() -> Ledger:
    sizes = {"reference": 1000, "a": 500, "b": 250}
    return Ledger(parts.entries_for(sizes, sizes), "reference")


def race(first: str, second: str = "reference", **fields: Any) -> Race:
    form = {"purpose": "reference", "protocol": "short", **fields}
    return Race(first=first, second=second, **form)


def raced(asked: Race, ratio: float, theirs: float = 2.0) -> Raced:
    times = parts.measurements({"latency.p50": (ratio, ratio, ratio)})
    beside = parts.measurements({"latency.p50": (theirs, theirs, theirs)})
    return Raced(asked, times, beside, parts.measurements({RATIO: (ratio, ratio, ratio)}))


def test_a_score_brings_the_size_of_the_files(ledger: Ledger) -> None:
    ledger.fold(Scored("validation", "a", parts.measurements(parts.accurate(0))))
    found = ledger["a"].measured
    assert found["size"].value == 500 and found["ratio.size"].value == 0.5
    assert found["accuracy"].value == 0.9 and "size" not in ledger["b"].measured


def test_figures_of_the_test_split_are_nobody_s_own(ledger: Ledger) -> None:
    ledger.fold(Scored("test", "a", parts.measurements(parts.accurate(0))))
    ledger.fold(SourceScored("test", parts.measurements({"accuracy": (0.5, 0.5, 0.5)})))
    assert ledger["a"].measured == {} and ledger.source == {}
    ledger.fold(SourceScored("validation", parts.measurements({"accuracy": (0.5, 0.5, 0.5)})))
    assert ledger.source["accuracy"].value == 0.5


def test_a_failed_score_keeps_its_error_and_its_size(ledger: Ledger) -> None:
    ledger.fold(NotScored("validation", "a", {"what": "it broke"}))
    assert ledger["a"].error == {"what": "it broke"} and ledger["a"].measured["size"].value == 500


def test_a_race_times_both_and_the_reference_stands_at_one(ledger: Ledger) -> None:
    ledger.fold(raced(race("a"), 0.5))
    assert ledger["a"].raced == "short" and ledger["a"].ratios["short"][RATIO].value == 0.5
    reference = ledger["reference"]
    assert reference.measured["latency.p50"].value == 2.0
    assert reference.measured[RATIO].value == 1.0 and reference.measured[RATIO].low is None
    assert reference.timed_beside == "a"
    assert "from its race against a" in reference.measured["latency.p50"].protocol
    ledger.fold(raced(race("b"), 0.25, theirs=3.0))
    assert ledger["reference"].measured["latency.p50"].value == 3.0
    ledger.time_reference("a")
    assert ledger["reference"].measured["latency.p50"].value == 2.0


def test_ratios_of_each_kind_of_race_are_kept_and_the_last_is_shown(ledger: Ledger) -> None:
    ledger.fold(raced(race("a"), 0.5))
    ledger.fold(raced(race("a", protocol="full"), 0.6))
    record = ledger["a"]
    assert {kind: f[RATIO].value for kind, f in record.ratios.items()} == {
        "short": 0.5,
        "full": 0.6,
    }
    assert record.measured[RATIO].value == 0.6 and record.raced == "full"


def test_a_direct_race_can_be_asked_for_from_both_sides(ledger: Ledger) -> None:
    ledger.fold(raced(race("a", "b", purpose="head-to-head"), 0.5))
    one, other = ledger.head_to_head("a", "b", RATIO), ledger.head_to_head("b", "a", RATIO)
    assert one is not None and other is not None
    assert (one.value, other.value) == (0.5, 2.0)
    assert ledger["a"].measured == {}, "no figure against the reference"
    ledger.fold(raced(race("b", "a", purpose="head-to-head"), 4.0))
    again = ledger.head_to_head("a", "b", RATIO)
    assert again is not None and again.value == 0.25, "the last race counts"
    assert ledger.head_to_head("a", "reference", RATIO) is None


def test_a_race_for_memory_changes_nothing_else(ledger: Ledger) -> None:
    peaks = [{"memory.peak": Measurement(quantity="memory.peak", value=v, unit="bytes")}
             for v in (5, 9)]  # fmt: skip
    ledger.fold(Raced(race("a", purpose="memory"), *peaks, {}))
    assert ledger["a"].measured["memory.peak"].value == 5 and ledger["a"].raced == ""
    assert ledger["reference"].measured["memory.peak"].value == 9


def test_the_reference_alone_is_timed_at_one(ledger: Ledger) -> None:
    ledger.fold(raced(race("reference", purpose="alone"), 0.97))
    assert ledger["reference"].measured[RATIO].value == 1.0
    ledger.seat_reference("full")
    assert ledger["reference"].raced == "full"


def test_the_first_error_of_a_race_stays(ledger: Ledger) -> None:
    for what in ("first", "second"):
        ledger.fold(NotRaced(race("a"), {"what": what}))
    assert ledger["a"].error == {"what": "first"}


def test_parity_is_kept_by_device_and_yardstick_and_conversions_by_candidate(
    ledger: Ledger,
) -> None:
    parity = Parity(device="d", n=1, tensor="y", worst=0, sample=0, peak=1, flips=0)
    again, other = (parity.model_copy(update={key: value})
                    for key, value in (("flips", 3), ("yardstick", "z")))  # fmt: skip
    for each in (parity, other, again):
        ledger.fold(Compared("a", each))
    assert list(ledger["a"].parity.values()) == [again, other]
    shares = Conversion(form="int8", weights=1.0)
    ledger.fold(Converted("a", shares))
    assert ledger["a"].conversion == shares and ledger["b"].conversion is None


def test_records_that_were_given_out_do_not_change(ledger: Ledger) -> None:
    before = ledger.records
    ledger.fold(raced(race("a"), 0.5))
    assert before["a"].measured == {} and ledger["a"].measured


def test_at_one_is_exact() -> None:
    (made,) = at_one([RATIO]).values()
    assert made.interval == (1.0, 1.0) and made.unit == "x"


def test_what_is_found_under_other_settings_is_taken_when_they_are_shipped(ledger: Ledger) -> None:
    under = (("int8", "allowed"),)
    ledger.fold(Scored("validation", "a", parts.measurements(parts.accurate(0))))
    before = ledger["a"]
    there = Scored("validation", "a", parts.measurements(parts.accurate(-0.5)), settings=under)
    for event in (
        raced(race("a", "a", purpose="settings", settings=under), 0.5),
        NotRaced(race("a", "a", purpose="settings", settings=under), {"what": "it broke"}),
        NotScored("validation", "a", {"what": "guesses"}, settings=under),
        there,
    ):
        ledger.fold(event)
        assert ledger["a"] == before
    ledger.ship("a", under, there)
    assert ledger["a"].measured["accuracy"].value == pytest.approx(0.895)
    assert ledger["a"].entry is ledger.entries["a"]
    assert str(ledger.entries["a"].target) == "local/onnxruntime?int8=allowed"
    assert ledger.entries["a"].settings == dict(under) and ledger.entries["b"].settings == {}
