from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import result_sample as sample

from edgeopt.schema.errors import UsageError
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import CandidateResult, CurvePoint, Result, SliceFigure, StageFigure


def without(found: Any, prefix: str) -> CandidateResult:
    kept = {name: m for name, m in found.measurements.items() if not name.startswith(prefix)}
    changed: CandidateResult = found.model_copy(update={"measurements": kept})
    return changed


def accuracy(value: float) -> Measurement:
    return Measurement(quantity="accuracy", value=value, unit="fraction")


def test_a_result_is_read_back_as_it_was_written() -> None:
    result = sample.sample_result()
    assert Result.model_validate(result.to_json()) == result
    assert Result.model_validate_json(result.model_dump_json()) == result


def test_where_a_result_lies_is_no_part_of_it(tmp_path: Path) -> None:
    result = sample.sample_result()
    placed = result.lying_in(tmp_path)
    assert placed.to_json() == result.to_json()
    best = placed.best()
    assert best.path == tmp_path / "best/local-onnxruntime/model.onnx"
    assert best.target == sample.TARGET and best.candidate.status == "chosen"
    with pytest.raises(UsageError, match="the chosen files were not written"):
        result.best()


def test_nothing_is_best_where_nothing_was_chosen(tmp_path: Path) -> None:
    """Even where a candidate stands there whom the test split refused."""
    refused = sample.sample_target(verdict="refused-on-test", sentence="refused: too bad")
    none = sample.sample_target(chosen=None, verdict="unmet", sentence="none keeps it")
    for target, sentence in ((refused, "refused: too bad"), (none, "none keeps it")):
        with pytest.raises(UsageError, match=f"nothing was chosen: {sentence}") as caught:
            sample.sample_result(target).lying_in(tmp_path).best()
        assert caught.value.where == sample.TARGET


def test_a_target_is_asked_for_by_name_where_there_are_several() -> None:
    others = [sample.sample_target(target=f"local/{name}") for name in ("onnxruntime", "torch")]
    result = sample.sample_result(*others)
    assert result.target("local/torch") is result.targets[1]
    for asked in (None, "local/litert"):
        with pytest.raises(KeyError, match="it has: local/onnxruntime, local/torch"):
            result.target(asked)
    assert sample.sample_result(others[1]).target() is others[1]


def test_a_target_finds_its_candidates_by_id() -> None:
    target = sample.sample_target()
    for each in target.candidates:
        assert target.candidate(each.id) is each
    with pytest.raises(KeyError, match="nobody"):
        target.candidate("nobody")


def test_what_is_compared_is_the_one_shown_and_the_reference() -> None:
    target = sample.sample_target()
    assert [c.status for c in target.compared] == ["chosen", "reference"]
    missed = target.model_copy(update={"chosen": None, "nearest_miss": target.candidates[5].id})
    assert [c.status for c in missed.compared] == ["infeasible", "reference"]
    alone = target.model_copy(update={"chosen": target.reference})
    assert [c.status for c in alone.compared] == ["reference"]
    assert target.model_copy(update={"chosen": None, "reference": ""}).compared == ()


def test_counts_stand_for_speed_only_where_there_is_no_time() -> None:
    target = sample.sample_target()
    counted = Measurement(quantity="instructions", value=1e6, unit="count")
    assert target.speed == "latency.p50"
    both = [c.model_copy(update={"measurements": {**c.measurements, "instructions": counted}})
            for c in target.candidates]  # fmt: skip
    assert target.model_copy(update={"candidates": tuple(both)}).speed == "latency.p50"
    timeless = tuple(without(c, "latency.p50") for c in both)
    assert target.model_copy(update={"candidates": timeless}).speed == "instructions"


@pytest.mark.parametrize(
    ("target", "runtime"),
    [
        ("local/onnxruntime", "onnxruntime"),
        ("ssh:user@board/litert?threads=2", "litert"),
        ("local/onnxruntime:cuda?batch=4", "onnxruntime"),
        ("", ""),
    ],
)
def test_a_runtime_is_read_from_the_target(target: str, runtime: str) -> None:
    made = CandidateResult(
        id="c", chain=(), label="source", target=target, status="lost", reason=""
    )
    assert made.runtime == runtime


def test_a_runtime_is_named_only_where_there_is_a_choice() -> None:
    target = sample.sample_target()
    first, *others = target.candidates
    assert target.named(first) == first.label
    moved = first.model_copy(update={"target": "local/litert"})
    several = target.model_copy(update={"candidates": (moved, *others)})
    assert several.named(moved) == f"litert: {first.label}"


def test_results_of_old_say_what_they_show_first_by_what_was_measured() -> None:
    assert sample.sample_target().metric == "accuracy"
    mean = Measurement(quantity="mse", value=0.5, unit="")
    first = sample.candidates()[0].model_copy(update={"measurements": {"mse": mean}})
    old = sample.sample_target(candidates=(first,), chosen=None)
    assert old.metric == "mse"
    told = sample.sample_target(metric="macro_f1")
    assert told.metric == "macro_f1"


def test_a_group_is_named_with_its_class() -> None:
    form = {"column": "class", "value": "6", "n": 10, "figure": accuracy(0.5)}
    assert SliceFigure.model_validate(form).group == "class 6"
    assert SliceFigure.model_validate({**form, "name": "Shirt"}).group == "class 6 (Shirt)"


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.8, 0.9, "faster"), (1.1, 1.2, "slower"), (0.9, 1.1, "as fast"),
     (0.9, 1.0, "as fast"), (1.0, 1.1, "as fast")],
)  # fmt: skip
def test_a_stage_is_faster_or_slower_only_where_its_interval_proves_it(
    low: float, high: float, word: str
) -> None:
    ratio = Measurement(
        quantity="ratio.latency.p50", value=(low + high) / 2, unit="x", low=low, high=high
    )
    figure = StageFigure(stage="prune", form="int8", before="a", after="b", ratio=ratio)
    assert figure.word == word
    assert figure.slows is (word == "slower")


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"taken": True, "holds": True}, "taken"),
        ({"hopeless": True, "holds": False}, "given up early"),
        ({"holds": True}, "holds"),
        ({"holds": False, "offered": True}, "does not hold"),
        ({"offered": False}, "no faster than a wider one"),
        ({"offered": True}, "offered"),
        ({}, "offered"),
    ],
)
def test_what_became_of_a_width_is_one_word(given: dict[str, Any], word: str) -> None:
    assert CurvePoint(target="t", fraction=0.5, **given).word == word
