from __future__ import annotations

from typing import Any

import pytest
import result_sample as sample

from edgeopt.schema import shown
from edgeopt.schema.constraint import Verdict
from edgeopt.schema.errors import UsageError
from edgeopt.schema.measurement import MARKS, Measurement
from edgeopt.schema.parity import Parity
from edgeopt.schema.result import PassRecord, SliceFigure, TargetResult


def measured(quantity: str, value: float, half: float | None = None, **more: Any) -> Measurement:
    unit = more.pop("unit", "fraction")
    ends = {} if half is None else {"low": value - half, "high": value + half}
    return Measurement(quantity=quantity, value=value, unit=unit, **ends, **more)


def group(value: str, loss: float | None, own: float = 0.9, quantity: str = "accuracy") -> Any:
    difference = None if loss is None else measured(f"difference.{quantity}", -loss)
    figure = measured(quantity, own)
    return SliceFigure(column="class", value=value, n=9, figure=figure, difference=difference)


# -- which way is better


@pytest.mark.parametrize(
    ("quantity", "less"),
    [
        ("latency.p50", True),
        ("ratio.latency.p99", True),
        ("difference.mse@price", True),
        ("accuracy@scores", False),
        ("top5", False),
    ],
)
def test_better_is_less_as_is_usual_for_the_quantity(quantity: str, less: bool) -> None:
    assert shown.less_is_better(quantity) is less


def test_a_figure_that_says_which_way_is_better_is_believed() -> None:
    assert shown.less_is_better("metric.distance", measured("metric.distance", 1, better="less"))
    assert not shown.less_is_better("mse", measured("mse", 1, better="more"))
    with pytest.raises(UsageError, match="unknown quantity 'latencyy'"):
        shown.less_is_better("latencyy")


# -- figures


@pytest.mark.parametrize(
    ("measurement", "whole", "short"),
    [
        (measured("difference.accuracy", 0.0031), "+0.31pt", "+0.31pt"),
        (measured("difference.accuracy", -0.0031), "-0.31pt", "-0.31pt"),
        (measured("difference.accuracy", 0.0), "0.00pt", "0.00pt"),
        (measured("accuracy", 0.93, where="scores"), "93.00% [scores]", "93.00%"),
        (measured("size", 312_456, unit="bytes"), "312 kB", "312 kB"),
    ],
)
def test_a_figure_is_signed_and_told_where_it_is_of(
    measurement: Measurement, whole: str, short: str
) -> None:
    assert shown.figure_text(measurement) == whole
    assert shown.figure_text(measurement, short=True) == short


def test_below_a_figure_stand_its_interval_and_marks() -> None:
    figure = measured("accuracy", 0.9, 0.01, marks=("few", "wide"))
    assert shown.interval(figure) == "89.00 to 91.00%"
    assert shown.below(figure) == ("89.00 to 91.00%", "few, wide")
    assert shown.whole(figure) == "90.00% (89.00 to 91.00%, few, wide)"
    exact = measured("size", 17, unit="bytes")
    assert (shown.interval(exact), shown.below(exact), shown.whole(exact)) == ("", (), "17 B")


def test_marks_are_explained_once_each_and_unknown_ones_stay() -> None:
    figures = [measured("accuracy", 1, marks=marks) for marks in (("wide", "zzz"), ("wide",), ())]
    assert shown.marks(figures) == [MARKS["wide"], "zzz"]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "-0.31pt (-0.55 to -0.07pt)"),
        ({"marks": ("few",)}, "-0.31pt (-0.55 to -0.07pt, few)"),
        ({"low": -0.0031, "high": -0.0031}, "-0.31pt"),
        ({"basis": "absolute"}, "-0.31% (-0.55 to -0.07%)"),
    ],
)
def test_a_verdict_shows_the_figure_that_was_held_against_the_bound(
    changed: dict[str, Any], text: str
) -> None:
    form = {
        "constraint": "accuracy >= source - 1pt", "quantity": "accuracy", "verdict": "pass",
        "value": -0.0031, "low": -0.0055, "high": -0.0007, "bound": -0.01, "margin": 0.0069,
        "basis": "difference", "unit": "fraction", "sentence": "",
    }  # fmt: skip
    assert shown.held(Verdict.model_validate({**form, **changed})) == text


@pytest.mark.parametrize(
    ("target", "machine", "told"),
    [
        (
            "local/onnxruntime",
            {"cpu": "Xeon", "isa": "avx2"},
            "this machine, in onnxruntime; 1 thread, batch 1, on Xeon (avx2)",
        ),
        (
            "local/torch?threads=2&batch=8",
            {"isa": "avx2"},
            "this machine, in torch; 2 threads, batch 8, on avx2",
        ),
        (
            "local/onnxruntime",
            {"cpu": "Xeon"},
            "this machine, in onnxruntime; 1 thread, batch 1, on Xeon",
        ),
        ("local/onnxruntime", {}, "this machine, in onnxruntime; 1 thread, batch 1"),
        ("ssh:cam/litert", {}, "ssh:cam, in litert; 1 thread, batch 1"),
        ("local/*", {}, "this machine, in any runtime; 1 thread, batch 1"),
    ],
)
def test_the_setting_names_what_is_known_of_the_machine(
    target: str, machine: dict[str, Any], told: str
) -> None:
    assert shown.setting(sample.sample_target(target=target, machine=machine)) == told


def test_a_target_of_every_runtime_says_which_were_tried() -> None:
    """Guards against local/* that nobody explains."""
    litert, onnx, *_ = sample.candidates()
    tried = (litert.model_copy(update={"target": "local/litert"}),
             onnx.model_copy(update={"target": "local/onnxruntime"}))  # fmt: skip
    target = sample.sample_target(target="local/*", candidates=tried)
    assert shown.place(target) == "this machine, in the best of litert, onnxruntime"


# -- splits and bounds


def split_of(n: int, *unshared: str) -> dict[str, Any]:
    return {"n": n, "unshared": list(unshared)}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, ""),
        ({"validation": split_of(5000)},
         "5,000 in validation, on which candidates are chosen"),
        ({"validation": split_of(5), "calibration": split_of(3)},
         "5 in validation, on which candidates are chosen"),
        ({"test": split_of(9, "validation"), "validation": split_of(5, "test")},
         "9 in test, on which only the winner and the source are scored, once; 5 in validation, "
         "on which candidates are chosen; no sample is shared between them"),
        ({"validation": split_of(5, "calibration", "trained_on")},
         "5 in validation, on which candidates are chosen; no sample is shared with calibration "
         "or what the source was trained on"),
    ],
)  # fmt: skip
def test_samples_are_told_with_what_they_are_for_and_do_not_share(
    data: dict[str, Any], told: str
) -> None:
    assert shown.samples(sample.sample_result(data=data)) == told


def test_test_figures_come_first_and_are_the_chosen_one_s_alone() -> None:
    target = sample.sample_target()
    chosen, lost = target.candidates[1], target.candidates[2]
    test, validation = shown.by_split(target, "accuracy")
    assert (test.name, validation.name) == ("test", "validation")
    assert test.figure == shown.tested(target)["accuracy"] != validation.figure
    assert validation.figure == chosen.measurements["accuracy"]
    assert validation.difference == chosen.measurements["difference.accuracy"]
    assert [s.name for s in shown.by_split(target, "accuracy", lost)] == ["validation"]
    assert shown.by_split(target, "latency.p90") == []


def test_without_anyone_to_show_there_is_nothing_to_show() -> None:
    target = sample.sample_target(chosen=None)
    assert shown.shown(target) is None
    assert shown.by_split(target, "accuracy") == [] and shown.bounds(target) == []
    missed = sample.sample_target(chosen=None, nearest_miss=target.candidates[5].id)
    assert shown.shown(missed) is missed.candidates[5]
    assert [s.name for s in shown.by_split(missed, "accuracy")] == ["validation"]


def test_bounds_are_shown_in_their_order_with_what_was_never_judged_last() -> None:
    target = sample.sample_target()
    verdict = target.candidates[1].verdicts[0]
    size = verdict.model_copy(update={"constraint": "size <= 1 MB", "quantity": "size"})
    chosen = target.candidates[1].model_copy(
        update={"verdicts": (size, verdict), "unjudged": ("memory.peak <= 1 MB",)}
    )
    found = shown.bounds(sample.sample_target(candidates=(target.candidates[0], chosen)))
    assert [(b.text, [split for split, _ in b.verdicts]) for b in found] == [
        ("size <= 1 MB", [""]),
        (sample.BOUND, ["test", "validation"]),
        ("memory.peak <= 1 MB", []),
    ]


# -- groups


def test_groups_of_the_test_split_are_told_of_first() -> None:
    groups = (group("1", 0.1),)
    both = sample.sample_target(slices={"validation": groups, "test": groups})
    assert shown.group_split(both) == "test"
    assert shown.group_split(sample.sample_target(slices={"validation": groups})) == "validation"
    assert shown.group_split(sample.sample_target()) == ""


def test_the_largest_drop_is_of_the_group_that_lost_most() -> None:
    groups = [group("1", 0.1), group("2", 0.3), group("3", None), group("4", -0.5)]
    assert shown.largest_drop(groups) is groups[1]
    assert shown.largest_drop([group("1", 0.0), group("2", -0.1), group("3", None)]) is None
    assert shown.largest_drop([]) is None
    errors = [group("1", -0.2, quantity="mse"), group("2", 0.4, quantity="mse")]
    assert shown.largest_drop(errors) is errors[0], "an error that grows is a loss"


def test_the_worst_group_is_the_one_of_the_worst_figure() -> None:
    groups = [group("1", 0, own=0.9), group("2", 0, own=0.4)]
    assert shown.worst_group(groups) is groups[1]
    errors = [group("1", 0, own=0.9, quantity="mse"), group("2", 0, own=0.4, quantity="mse")]
    assert shown.worst_group(errors) is errors[0]
    with pytest.raises(ValueError, match="empty"):
        shown.worst_group([])


def test_an_extreme_is_told_out_of_how_many_and_beside_whom() -> None:
    groups = [group("1", 0.3), group("2", 0.3), group("3", 0.1), group("4", None)]
    assert (
        shown.among(groups) == "; the worst of 4 classes, which may make it look worse than it is"
    )
    assert (
        shown.among(groups, groups[0])
        == "; the largest of 4 classes, which may make it look worse than it is, level with class 2"
    )
    assert (
        shown.among(groups, groups[3])
        == "; the largest of 4 classes, which may make it look worse than it is"
    )
    assert shown.among(groups[:1], groups[0]) == ""


# -- what is shipped


def opened(target: str, runtimes: dict[str, str]) -> str:
    made = sample.sample_target(target=target, machine={"runtimes": runtimes})
    return shown.settings(made, made.candidates[1])


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("local/onnxruntime?int8=allowed&opt=extended",
         ["session.qdqisint8allowed=1", "graph_optimization_level=ORT_ENABLE_EXTENDED"]),
        ("local/openvino?dynamic_quant=0&batch=4",
         ["DYNAMIC_QUANTIZATION_GROUP_SIZE=0", "batch 4", "INFERENCE_NUM_THREADS=1,"]),
        ("local/litert?api=compiled&threads=3", ["CompiledModel", "CpuOptions(num_threads=3)"]),
    ],
)  # fmt: skip
def test_the_settings_to_ship_with_are_told_in_the_runtimes_own_names(
    target: str, told: list[str]
) -> None:
    text = opened(target, dict.fromkeys(("onnxruntime", "openvino", "litert"), "1.2.3"))
    assert all(each in text for each in told), text


def test_the_way_a_session_was_opened_is_told_with_its_threads() -> None:
    text = opened("local/onnxruntime?threads=2", {"onnxruntime": "1.32.0"})
    assert text.startswith("onnxruntime 1.32.0: ") and "intra_op_num_threads=2" in text
    assert "(batch 1)" in text
    assert opened("local/onnxruntime", {}) == "", "a version that nobody knows"
    assert opened("local/onnxruntime:cuda", {"onnxruntime": "1.32.0"}) == ""


def test_runners_up_are_told_where_they_lie() -> None:
    target = sample.sample_target()
    other = target.candidates[2].model_copy(update={"path": "best/x.onnx"})
    chosen = target.candidates[1].model_copy(update={"path": target.path})

    def told(folder: str, **changed: Any) -> str:
        candidates = (target.candidates[0], chosen, other)
        return shown.runners_up(sample.sample_target(candidates=candidates, **changed), folder)

    assert told("out/").endswith(f"shows their inputs: out/best/x.onnx ({other.label})")
    assert told("").endswith(f": best/x.onnx ({other.label})")
    assert told("", verdict="built") == ""
    assert shown.runners_up(target) == ""


def test_parity_is_told_for_each_yardstick() -> None:
    parity = Parity(device="b", n=9, tensor="y", worst=0.0, sample=0, peak=1.0, flips=0)
    far = parity.model_copy(update={"flips": 1, "yardstick": "another"})
    held = sample.candidates()[0].model_copy(update={"parity": (parity, far)})
    assert shown.answers(held) == f"{parity.sentence}; {far.sentence}"
    assert shown.answers(sample.candidates()[0]) == ""


def test_the_source_s_own_figure_is_told_of_test_first() -> None:
    test = {"source": {"accuracy": measured("accuracy", 0.91).to_json()}}
    target: TargetResult = sample.sample_target(test=test)
    assert shown.source_by_split(target)[0] == "91.00% (test)"
    assert [text.rpartition(" ")[2] for text in shown.source_by_split(target)] == [
        "(test)", "(validation)"
    ]  # fmt: skip
    assert shown.source_by_split(sample.sample_target(source={}, test={})) == []


def test_what_pruning_reached_is_told_as_shares() -> None:
    def record(**found: Any) -> PassRecord:
        return PassRecord(label="p", name="prune-structured", job="p", found=found)

    both = record(before={"macs": 200, "parameters": 40}, after={"macs": 101, "parameters": 10})
    assert shown.kept(both) == "50.5% of multiply-accumulates and 25.0% of parameters"
    assert shown.kept(record(before={"macs": 200}, after={"macs": 50})).startswith("25.0%")
    for nothing in (record(), record(before={"macs": 0}, after={"macs": 0}), record(before=None)):
        assert shown.kept(nothing) == ""
    pruned = sample.candidates()[0].model_copy(update={"chain": (record(), both)})
    assert shown.pruned_to(pruned) == shown.kept(both)
