from __future__ import annotations

import result_sample as sample

from edgeopt.schema.legend import races
from edgeopt.schema.parity import Parity
from edgeopt.schema.result import SettingsTrial
from edgeopt.schema.shown import figure_text
from edgeopt.views import terminal_view
from edgeopt.views.html_view.rows import (
    ORDER,
    checks,
    groups,
    name_against,
    name_of,
    rows_of,
    tiles,
)


def test_rows_stand_by_status_and_then_by_speed() -> None:
    rows = rows_of(sample.sample_target())
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    statuses = [row.candidate.status for row in rows]
    assert statuses == sorted(statuses, key=ORDER.index) and statuses[0] == "chosen"
    lost = [row.candidate.measurements["ratio.latency.p50"].value for row in rows[1:3]]
    assert lost == sorted(lost)


def test_a_runtime_is_named_only_where_there_is_a_choice() -> None:
    target = sample.sample_target()
    assert {row.runtime for row in rows_of(target)} == {""}
    first = target.candidates[0].model_copy(update={"target": "local/litert"})
    several = target.model_copy(update={"candidates": (first, *target.candidates[1:])})
    assert {row.runtime for row in rows_of(several)} == {"litert", ""}


def test_tiles_are_the_figures_that_matter_of_the_one_shown() -> None:
    found = {cell.name: cell for cell in tiles(sample.sample_target())}
    speed, quality, size, memory = found.values()
    assert speed.value == "0.41x" and "0.41 to 0.42x" in speed.detail
    assert quality.name == "Accuracy (test)" and any("validation" in d for d in quality.detail)
    assert size.value == "0.27x" and memory.name == "Peak memory added"
    assert tiles(sample.sample_target(chosen=None)) == []


def test_how_many_inferences_were_timed_stands_below_the_ratio() -> None:
    target = sample.sample_target()
    chosen = target.candidates[1]
    ratio = "ratio.latency.p50"
    timed = chosen.measurements[ratio].model_copy(update={"timed": 1500})
    figures = {**chosen.measurements, ratio: timed}
    changed = chosen.model_copy(update={"measurements": figures})
    candidates = (target.candidates[0], changed)
    (speed, *_) = tiles(target.model_copy(update={"candidates": candidates}))
    assert "in each of 5 processes at least 1,500 inferences of each of the two" in speed.detail


def test_one_raced_afresh_stands_in_the_table_by_its_race_before() -> None:
    """Its fresh figures stand above the table, and among all of its figures."""
    target = sample.sample_target()
    chosen = target.candidates[1]
    ratio = "ratio.latency.p50"
    fresh = chosen.measurements[ratio]
    earlier = fresh.model_copy(update={"value": 0.37, "low": 0.36, "high": 0.38, "n": 3})
    changed = chosen.model_copy(update={"before": {ratio: earlier}, "raced": "final"})
    of = target.model_copy(update={"candidates": (target.candidates[0], changed)})
    (row,) = [row for row in rows_of(of) if row.candidate.id == chosen.id]
    assert "0.37x" in [cell.value for cell in row.cells]
    extra = {cell.name: cell.value for cell in row.extra}
    assert extra["p50 latency, x reference (raced afresh)"] == figure_text(fresh)
    assert tiles(of)[0].value == figure_text(fresh)
    drawn = terminal_view.draw(sample.sample_result(of))
    assert "0.37x" in drawn and figure_text(fresh) in drawn
    assert races(changed) == ["short race", "raced afresh"]


def test_what_came_of_other_settings_stands_below_a_candidate() -> None:
    target = sample.sample_target()
    tried = SettingsTrial(settings={"opt": "extended"}, reason="not proven faster: 0.99x")
    changed = target.candidates[1].model_copy(update={"tried": (tried,)})
    of = target.model_copy(update={"candidates": (target.candidates[0], changed)})
    (row,) = [row for row in rows_of(of) if row.candidate.id == changed.id]
    told = "tried with opt=extended: not proven faster: 0.99x"
    assert told in row.reasons
    assert told in terminal_view.draw(sample.sample_result(of), width=200)


def test_bounds_are_told_by_split_and_groups_of_the_one_shown() -> None:
    target = sample.sample_target()
    told = checks(target)
    assert len(told) == 2 and {verdict.constraint for _, verdict in told} == {sample.BOUND}
    assert groups(target) == []


def test_quantities_have_names_for_people() -> None:
    assert name_of("accuracy") == "Accuracy"
    assert name_of("fidelity.cosine@boxes") == "Cosine of boxes"
    assert name_of("metric.iou") == "metric.iou"
    assert name_against("difference.macro_f1") == "Macro F1 against source"
    assert name_against("ratio.latency.p99") == "p99 latency, x reference"
    assert name_against("ratio.accuracy") == "Accuracy, x source"
    assert name_against("latency.p99") == "p99 latency"


def test_what_a_comparison_on_another_cpu_found_stands_among_all_figures() -> None:
    target = sample.sample_target()
    parity = Parity(device="local", yardstick="the host", n=256, tensor="y", worst=0.04, sample=3,
                    peak=8.0, flips=0)  # fmt: skip
    changed = target.candidates[0].model_copy(update={"parity": (parity,)})
    rows = rows_of(target.model_copy(update={"candidates": (changed, *target.candidates[1:])}))
    told = [cell.value for row in rows for cell in row.extra if cell.name == "Parity"]
    assert told == [parity.sentence]
