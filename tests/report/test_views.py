"""Views of a result: everything is shown, nothing is trusted."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import pytest
import result_sample as sample
from pages import Text

from edgeopt.report import draw, view_names
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import TargetVerdict


def words(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("view", view_names())
def test_every_candidate_and_reason_is_shown(view: str) -> None:
    result = sample.sample_result()
    drawn = draw(result, view)
    shown = words(Text(drawn).text if view == "html" else drawn)
    for candidate in result.targets[0].candidates:
        reason = candidate.reason
        if view == "json":
            reason = json.dumps(reason)[1:-1]
        elif not reason.isprintable():
            continue
        assert words(reason) in shown or view == "terminal", candidate.label
        assert candidate.status in shown
    assert result.targets[0].target in shown


@pytest.mark.parametrize("view", view_names())
def test_equal_results_give_equal_bytes(view: str) -> None:
    assert draw(sample.sample_result(), view) == draw(sample.sample_result(), view)


def test_the_page_is_self_contained_and_escapes_what_comes_from_outside() -> None:
    page = draw(sample.sample_result(), "html")
    parsed = Text(page)
    assert "script" not in {tag for tag, _ in parsed.tags}
    for tag, attributes in parsed.tags:
        assert tag not in ("link", "iframe", "img", "object")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("href", "src"):
                assert (value or "").startswith("#")
    assert "url(" not in page and "@import" not in page
    assert "\x1b" not in page and "\u202e" not in page


def test_a_terminal_never_gets_control_characters() -> None:
    drawn = draw(sample.sample_result(), "terminal")
    assert "\x1b" not in drawn and "\u202e" not in drawn


@pytest.mark.parametrize("verdict", get_args(TargetVerdict))
@pytest.mark.parametrize("view", view_names())
def test_every_verdict_can_be_drawn(view: str, verdict: str) -> None:
    changed: dict[str, Any] = {"verdict": verdict}
    if verdict not in ("chosen", "refused-on-test"):
        changed |= {"chosen": None, "path": None}
    assert draw(sample.sample_result(sample.sample_target(**changed)), view)


def counted() -> Any:
    """The sample on a device without time: every p50 latency becomes a count."""
    target = sample.sample_target()
    candidates = []
    for each in target.candidates:
        kept = {k: m for k, m in each.measurements.items() if "latency" not in k}
        if ratio := each.measurements.get("ratio.latency.p50"):
            kept |= {
                name: Measurement(quantity=name, value=value, unit=unit)
                for name, value, unit in (
                    ("ratio.instructions", ratio.value, "x"),
                    ("instructions", 16_500_000 * ratio.value, "count"),
                    ("instructions.vector_mac", 9_810_000 * ratio.value, "count"),
                    ("bytes.loaded", 58_300_000 * ratio.value, "bytes"),
                )
            }
        candidates.append(each.model_copy(update={"measurements": kept}))
    form = {"candidates": tuple(candidates), "objective": "instructions"}
    return sample.sample_result(target.model_copy(update=form))


@pytest.mark.parametrize("view", ["terminal", "html"])
def test_a_device_without_time_shows_counts_and_where_they_go(view: str) -> None:
    page = draw(counted(), view)
    assert "here the instructions go" in page
    assert "vector multiply-accumulate" in page
    assert "6.80 M" in page and "9.81 M" in page  # of the chosen, of the reference
    assert "p50 / ref" not in page and "p50, x reference" not in page
