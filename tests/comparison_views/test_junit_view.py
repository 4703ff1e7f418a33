from __future__ import annotations

from xml.etree import ElementTree

from comparison_sample import sample_comparison

from edgeopt.comparison_views import junit_view


def test_every_bound_is_a_case_and_an_undecided_target_an_error() -> None:
    (suite,) = ElementTree.fromstring(junit_view.draw(sample_comparison()))
    assert suite.attrib["tests"] == "4"
    assert (suite.attrib["failures"], suite.attrib["errors"]) == ("2", "1")
    found = {case.attrib["name"]: case[0] for case in suite}
    assert {name: told.tag for name, told in found.items()} == {
        "a choice": "error", "size <= 1 MB": "system-out", "accuracy >= a": "failure",
        "latency.p50 <= a": "failure",
    }  # fmt: skip
    assert found["a choice"].attrib == {"type": "unmet", "message": "unmet: none keeps it"}
    assert found["latency.p50 <= a"].attrib["type"] == "inconclusive"
    assert found["accuracy >= a"].attrib["message"] == "accuracy >= a, so fail"
    assert found["size <= 1 MB"].text == "size <= 1 MB, so pass"
    assert {case.attrib["classname"] for case in suite} == {"local/onnxruntime", "local/litert"}


def test_what_xml_cannot_hold_is_none_of_it() -> None:
    text = junit_view.draw(sample_comparison())
    (suite,) = ElementTree.fromstring(text)
    assert "<b>" in suite.attrib["name"] and "\\x1b[31m" in suite.attrib["name"]
    assert not {"\x1b", "\x00", "\u202e"} & set(text)


def test_a_comparison_without_bounds_has_no_cases() -> None:
    drawn = junit_view.draw(sample_comparison(pairs=(), undecided={}))
    (suite,) = ElementTree.fromstring(drawn)
    assert len(suite) == 0 and suite.attrib["tests"] == "0"
