"""What a reader of a result must not have to ask: what a figure is of, and what to do with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import result_sample as sample
from onnx import TensorProto, helper, numpy_helper
from pages import Text
from short_races import shortened

import edgeopt
from edgeopt.bench import peak
from edgeopt.decide.decision import error_in_words
from edgeopt.decide.verdict import judge
from edgeopt.report import draw
from edgeopt.schema.base import counted
from edgeopt.schema.constraint import parse_constraint
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.errors import EdgeoptError
from edgeopt.schema.feeding import Input, Output
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import Result, StageFigure
from edgeopt.schema.shown import held


def told(result: Any, view: str) -> str:
    """What a view says, on one line."""
    drawn = draw(result, view)
    return " ".join((Text(drawn).text if view == "html" else drawn).split())


VIEWS = pytest.mark.parametrize("view", ["terminal", "html"])


# -- peak memory


def weighed(protocol: str) -> Any:
    """The sample, its peak memory taken by a protocol."""
    target, found = sample.sample_target(), []
    for each in target.candidates:
        own = dict(each.measurements)
        if "memory.peak" in own:
            own["memory.peak"] = own["memory.peak"].model_copy(update={"protocol": protocol})
        found.append(each.model_copy(update={"measurements": own}))
    return sample.sample_result(target.model_copy(update={"candidates": tuple(found)}))


@VIEWS
def test_peak_memory_is_told_as_what_was_added(view: str) -> None:
    """Guards against a figure that is read as all the memory that the process needs."""
    text = told(weighed(peak.PROTOCOL), view)
    assert "peak memory added" in text.lower()
    assert "over what the process held just before it loaded the model" in text


@VIEWS
def test_memory_of_an_accelerator_is_told_as_such(view: str) -> None:
    """Guards against memory on an accelerator that is read as the process's own."""
    text = told(weighed(peak.ON_ACCELERATOR), view).lower()
    assert "peak memory on the accelerator" in text
    assert "peak memory added" not in text


# -- races


@VIEWS
def test_every_row_says_how_it_was_raced_and_the_legend_what_that_is(view: str) -> None:
    """Guards against figures of short and full races that look alike, side by side."""
    target = sample.sample_target()
    text = told(sample.sample_result(target), view)
    table, legend = text.split("full race:", 1)
    assert table.count("full race") == 2 and table.count("raced afresh") == 1
    assert table.count("short race") >= 3  # reasons speak of it too
    assert table.count("not raced") >= 2
    assert table.count("head to head") == 1
    assert "against the reference, in 5 fresh processes" in legend
    for term in ("short race:", "raced afresh:", "head to head:"):
        assert term in legend


@VIEWS
def test_a_result_that_does_not_say_how_it_raced_claims_nothing(view: str) -> None:
    """Guards against results of earlier versions whose rows would all be called not raced."""
    target = sample.sample_target()
    old = [c.model_copy(update={"raced": None, "against_chosen": None}) for c in target.candidates]
    text = told(sample.sample_result(target.model_copy(update={"candidates": tuple(old)})), view)
    assert "full race" not in text and text.count("not raced") == 1  # in a reason


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of four numbers into three classes, with samples, in a folder of its own."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(4, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["scores"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "m.onnx")
    x = rng.integers(0, 256, size=(300, 4), dtype=np.uint8)
    label = ((x / 255 - 0.5) / 0.25 @ weights).argmax(axis=1)
    label[::10] = rng.integers(0, 3, size=30)  # some are hard
    np.savez(folder / "s.npz", **{"validation.pixels": x[:150], "validation.label": label[:150],
                                  "test.pixels": x[150:], "test.label": label[150:]})  # fmt: skip
    return folder


def optimized(folder: Path, *, quick: bool = True, few: bool = True, **fields: Any) -> Result:
    """A real run in a store of the folder; ``few``: its races take two processes."""
    data = {
        "source": str(folder / "s.npz"), "inputs": {"x": "pixels"}, "label": "label",
        "splits": {"validation": "validation", "test": "test"},
        "preprocess": [{"scale": 255}, {"normalize": {"mean": 0.5, "std": 0.25}}],
    }  # fmt: skip
    given = {"passes": [{"one_of": ["simplify-onnx", "fp16"]}], **fields}
    with shortened(few=few):
        return edgeopt.optimize(
            folder / "m.onnx", data=data | given.pop("data", {}), quick=quick,
            constraints=["accuracy >= source - 20pt"], store=folder / "store", **given,
        )  # fmt: skip


def test_a_full_run_keeps_which_race_each_figure_is_of(made: Path) -> None:
    """Guards against a document that leaves open how its own figures were made."""
    (target,) = optimized(made, quick=False, few=False).to_json()["targets"]
    raced = {c["id"]: c["raced"] for c in target["candidates"] if not c["reference"]}
    assert raced[target["chosen"]] == "final"
    assert set(raced.values()) <= {"final", "short"}
    (other,) = (c for c in target["candidates"] if c["id"] in raced and c["id"] != target["chosen"])
    ratio, direct = other["measurements"]["ratio.latency.p50"], other["against_chosen"]
    known = any(word in ratio["protocol"] for word in ("pooled over", "its own variance"))
    assert (ratio["n"] >= 3 and known) or other["raced"] == "final"
    if direct is not None:  # they were not told apart by the rounds
        assert direct["quantity"] == "ratio.latency.p50" and direct["n"] >= 5


# -- quick runs


def test_a_quick_run_says_so_and_what_that_means(made: Path) -> None:
    """Guards against figures of a trial that are quoted as a measurement."""
    result = optimized(made, few=False)
    assert result.to_json()["quick"] is True
    (note,) = (note for note in result.notes if note.startswith("quick run"))
    assert "3 fresh processes" in note and "up to 15" in note and "do not quote" in note
    assert "every candidate" not in note, "those that failed were not raced"
    for view in ("terminal", "html"):
        text = told(result, view)
        assert note in text
        assert "quick run" in text[: text.index("in short races")].lower(), "at the head, too"
    assert "--quick" in told(result, "html"), "the command that makes it again"


@VIEWS
def test_a_full_run_does_not_speak_of_quick_ones(view: str) -> None:
    """Guards against a warning that stands everywhere and so says nothing."""
    assert "quick" not in told(sample.sample_result(), view).lower()


def test_a_run_that_races_nothing_is_not_quick(made: Path) -> None:
    """Guards against a note on races that were not run."""
    result = edgeopt.optimize(
        made / "m.onnx", data=made / "s.npz", passes=["simplify-onnx"], quick=True, bench=False,
        store=made / "store",
    )  # fmt: skip
    assert not result.quick
    assert "quick" not in told(result, "terminal")


def test_the_command_that_makes_it_again_names_the_recipe_where_it_lies(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a command that only works in the recipe's own folder."""
    (made / "recipes").mkdir(exist_ok=True)
    recipe = made / "recipes" / "again.yaml"
    recipe.write_text(
        "model: ../m.onnx\ndata: {source: ../s.npz, inputs: {x: pixels}, label: label, "
        "splits: {validation: validation, test: test}}\ntargets: [local/onnxruntime]\n"
        "passes: [simplify-onnx]\n"
    )
    monkeypatch.chdir(made)
    result = edgeopt.optimize(recipe, bench=False, store=made / "store")
    assert "edgeopt optimize recipes/again.yaml" in told(result, "html")


# -- names of classes


NAMES = ["Ankle boot", "Shirt", "Bag"]


def classes_told(result: Result) -> list[str]:
    return [each.group for each in result.targets[0].slices["test"]]


def test_classes_are_told_by_name_and_change_nothing_else(made: Path) -> None:
    """Guards against "class 1" in a report of a recipe that knows its name."""
    only = ["simplify-onnx"]  # what is scored on the test split hangs on no race
    plain = optimized(made, passes=only)
    named = optimized(made, passes=only, data={"classes": NAMES})
    assert classes_told(plain) == ["class 0", "class 1", "class 2"]
    assert classes_told(named) == ["class 0 (Ankle boot)", "class 1 (Shirt)", "class 2 (Bag)"]
    assert named.to_json()["classes"] == {"scores": NAMES}
    assert {id.partition(":")[0] for id in named.jobs.ran} == {"race"}, "all else from the cache"
    figures = [[each.figure for each in r.targets[0].slices["test"]] for r in (plain, named)]
    assert figures[0] == figures[1]
    for view in ("terminal", "html"):
        text = told(named, view).lower()
        worst = max(named.targets[0].slices["test"], key=lambda each: -each.figure.value)
        at = text.index("worst class")
        assert worst.group.lower() in text[at : at + 60]


@pytest.mark.parametrize(
    "classes", ["classes.txt", {"scores": "classes.txt"}, {"scores": NAMES}], ids=str
)
def test_names_of_classes_may_lie_in_a_file_and_belong_to_an_output(
    made: Path, classes: Any
) -> None:
    """Guards against a grammar that is documented and not read."""
    (made / "classes.txt").write_text("Ankle boot\nShirt\n\nBag\n")
    if classes == "classes.txt":
        classes = str(made / classes)
    elif classes["scores"] == "classes.txt":
        classes = {"scores": str(made / "classes.txt")}
    assert "class 1 (Shirt)" in classes_told(optimized(made, data={"classes": classes}))


@pytest.mark.parametrize(
    ("classes", "named"),
    [
        (["a", "b"], "names 2 classes, output 'scores' has 3 scores"),
        ({"logits": NAMES}, "'logits' is not an output with a score for each class"),
        ("absent.txt", "cannot read 'absent.txt'"),
        (["a", "b", "b"], "two classes are called 'b'"),
        (["a", 1, "c"], "not 1; put it in quotes"),
        ([], "a list, or a text file"),
    ],
    ids=str,
)
def test_names_that_fit_no_scores_are_an_error_before_any_work(
    made: Path, classes: Any, named: str
) -> None:
    """Guards against names that stand beside the wrong class."""
    with pytest.raises(EdgeoptError) as caught:
        optimized(made, data={"classes": classes})
    assert named in str(caught.value)


# -- how to feed it


def test_a_result_says_how_the_chosen_artifact_is_fed_and_read(made: Path) -> None:
    """Guards against a file that is shipped and then fed with unscaled values."""
    result = optimized(made, data={"classes": NAMES})
    (target,) = result.to_json()["targets"]
    (fed,), (read,) = target["inputs"], target["outputs"]
    assert (fed["array"], fed["raw_dtype"], fed["raw_shape"]) == ("pixels", "uint8", [4])
    assert fed["tensor"]["name"] == "x" and fed["tensor"]["dtype"] == "float32"
    assert fed["steps"] == [
        {"subtract": [], "divide": [255.0]}, {"subtract": [0.5], "divide": [0.25]},
    ]  # fmt: skip
    assert (read["tensor"]["name"], read["kind"], read["label"]) == ("scores", "classes", "label")
    assert read["probabilities"] is False
    for view in ("terminal", "html"):
        text = told(result, view)
        assert "x / 255, then (x - 0.5) / 0.25" in text
        assert "uint8 (4)" in text and "float32 (batch, 4)" in text and "float32 (batch, 3)" in text
        assert "0 Ankle boot, 1 Shirt, 2 Bag" in text
    assert "How to feed it" in told(result, "html")


def test_the_steps_that_are_told_make_the_tensors_that_were_fed(made: Path) -> None:
    """Guards against a recipe for feeding that is not the one that was measured."""
    result = optimized(made)
    (fed,) = result.targets[0].inputs
    raw = np.load(made / "s.npz")["validation.pixels"]
    x = raw.astype(np.float32)
    for step in fed.steps:
        x = x - np.asarray(step.subtract, np.float32) if step.subtract else x
        x = x / np.asarray(step.divide, np.float32)
    scores = x @ numpy_helper.to_array(onnx.load(made / "m.onnx").graph.initializer[0])
    hits = scores.argmax(axis=1) == np.load(made / "s.npz")["validation.label"]
    assert result.targets[0].source["accuracy"].value == pytest.approx(hits.mean())


def image(**changed: Any) -> Any:
    """How an image is fed, by the schema alone."""
    tensor = {"name": "image", "dtype": "float32", "shape": (1, 2, 2, 3), "layout": "NHWC"}
    form = {
        "tensor": tensor | changed.pop("tensor", {}), "array": "photos", "raw_dtype": "uint8",
        "raw_shape": (3, 2, 2), "raw_layout": "NCHW",
        "steps": [{"divide": [255]}, {"subtract": [0.5, 0.4, 0.3], "divide": [0.2]}], **changed,
    }  # fmt: skip
    return Input.model_validate(form)


@VIEWS
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "x / 255, then (x - [0.5, 0.4, 0.3]) / 0.2 by channel, in float32"),
        ({}, "float32 (1, 2, 2, 3) NHWC"),
        ({}, "uint8 (3, 2, 2) CHW"),
        ({"steps": []}, "as float32"),
        ({"steps": [], "raw_dtype": "float32"}, "as it is"),
        ({"decoded": "RGB, resized to 2 x 2 (bilinear)"}, "RGB, resized to 2 x 2 (bilinear)"),
        (
            {"tensor": {"dtype": "int8", "scale": 0.02, "zero_point": -3}, "quantized": True},
            "then round(x / 0.02) - 3, held within -128 to 127",
        ),
    ],
    ids=lambda each: str(each)[:40],
)
def test_every_way_of_feeding_is_told_in_words(
    view: str, changed: dict[str, Any], said: str
) -> None:
    """Guards against a step that the views leave out."""
    target = sample.sample_target(inputs=(image(**changed),))
    assert said in told(sample.sample_result(target), view)


@VIEWS
def test_codes_of_a_quantized_output_are_told_to_be_turned_back(view: str) -> None:
    """Guards against integers that are read as real values."""
    tensor = {"name": "boxes", "dtype": "uint8", "shape": (1, 8), "scale": 0.5, "zero_point": 7}
    read = Output.model_validate({"tensor": tensor, "of": "boxes"})
    target = sample.sample_target(outputs=(read,))
    assert "real values are 0.5 * (code - 7)" in told(sample.sample_result(target), view)


# -- what else one would ask


@VIEWS
def test_terms_of_the_table_are_explained_below_it(view: str) -> None:
    """Guards against columns and words that only those who wrote them can read."""
    shares = Conversion(form="int8", by="onnxruntime", weights=1.0, macs=0.99)
    target = sample.sample_target()
    first, *others = target.candidates
    converted = first.model_copy(update={"conversion": shares})
    text = told(
        sample.sample_result(target.model_copy(update={"candidates": (converted, *others)})), view
    )
    for said in (
        "source: the model as given",
        "reference: the source converted",
        "p50: the median time of one inference",
        "int8, float16: the share of weights",
    ):
        assert said in text


def changed(target: Any, **by_status: Any) -> Any:
    """The target, its candidates of a status changed."""
    found = [c.model_copy(update=by_status.get(c.status, {})) for c in target.candidates]
    return target.model_copy(update={"candidates": tuple(found)})


@VIEWS
def test_the_reference_is_named_with_its_reason(view: str) -> None:
    """Guards against ratios of two reports that are to different artifacts, and nobody says so."""
    target = sample.sample_target(
        machine={"runtimes": {"onnxruntime": "1.32.0", "openvino": "2026.4", "litert": "2.3"}}
    )
    target = changed(target, reference={"target": "local/onnxruntime"})
    text = told(sample.sample_result(target), view)
    assert "nothing else: export-onnx, in onnxruntime, the first of onnxruntime, openvino" in text
    assert "It is none of the 8 candidates" in text
    target = changed(target, reference={"status": "lost", "target": "local/onnxruntime"})
    assert "It is one of the 9 candidates" in told(sample.sample_result(target), view)


@VIEWS
def test_how_many_inferences_were_timed_is_told(view: str) -> None:
    """Guards against percentiles of nobody knows how many inferences."""
    target = sample.sample_target()
    found = []
    for each in target.candidates:
        own = {k: m.model_copy(update={"timed": 852} if "latency" in k else {})
               for k, m in each.measurements.items()}  # fmt: skip
        found.append(each.model_copy(update={"measurements": own}))
    target = target.model_copy(update={"candidates": tuple(found)})
    text = told(sample.sample_result(target), view)
    assert "in 5 fresh processes, in each at least 852 timed inferences of each of the two" in text
    if view == "terminal":
        assert "in each of 5 processes at least 852 inferences of each of the two" in text


@VIEWS
def test_the_test_split_is_said_to_score_the_source_too(view: str) -> None:
    """Guards against "the winner alone" beside a figure of the source."""
    text = told(sample.sample_result(), view)
    assert "on which only the winner and the source are scored, once" in text


@VIEWS
def test_what_splits_share_is_told(view: str) -> None:
    """Guards against a check whose result nobody hears of."""
    plain = sample.sample_result()
    assert "shared" not in told(plain, view)
    data = {name: dict(facts) for name, facts in plain.data.items()}
    data["test"]["unshared"] = ["calibration", "validation", "trained_on"]
    data["validation"]["unshared"] = ["calibration", "test", "trained_on"]
    text = told(plain.model_copy(update={"data": data}), view)
    assert "no sample is shared between them, nor with calibration or what the source was" in text


@VIEWS
def test_how_a_bound_passes_and_what_schemes_are_is_told(view: str) -> None:
    """Guards against verdicts and names that one has to look up."""
    text = told(sample.sample_result(), view)
    assert "constraint: passes if the whole 95% interval meets the bound" in text
    assert "u8s8: activations to uint8, weights to int8" in text
    assert "u8s8-safe: as" not in text, "only those that are there"


def test_the_page_spells_out_what_it_alone_shows() -> None:
    """Guards against SQNR and a load time of nobody knows what."""
    text = told(sample.sample_result(), "html")
    assert "signal-to-quantization-noise ratio (SQNR)" in text
    assert "load time: how long the runtime takes to open the file" in text


@VIEWS
def test_where_runners_up_lie_and_how_to_open_the_chosen_is_told(view: str) -> None:
    """Guards against a folder that nobody hears of, and other settings than were measured."""
    target = sample.sample_target(machine={"runtimes": {"onnxruntime": "1.32.0"}})
    path = "runners-up/local/openvino/model.onnx"
    target = changed(target, screened={"path": path}, chosen={"target": sample.TARGET})
    text = told(sample.sample_result(target), view)
    assert f"shows their inputs: {path} (" in text
    assert "onnxruntime 1.32.0: intra_op_num_threads=1" in text


@VIEWS
@pytest.mark.parametrize("first", [1, "batch"])
def test_whether_the_batch_is_fixed_is_told(view: str, first: Any) -> None:
    """Guards against a 1 in a shape that may or may not be free."""
    made = image(tensor={"shape": (first, 2, 2, 3)})
    text = told(sample.sample_result(sample.sample_target(inputs=(made,))), view)
    assert ("batch fixed at 1" if first == 1 else "any batch") in text


@VIEWS
@pytest.mark.parametrize(
    ("are", "said"),
    [(True, "a probability for each class"), (False, "not a probability"), (None, "a score for")],
)
def test_whether_scores_are_probabilities_is_told(view: str, are: bool | None, said: str) -> None:
    """Guards against scores that are read as probabilities."""
    read = Output.model_validate(
        {"tensor": {"name": "y", "dtype": "float32", "shape": (1, 3)}, "of": "y",
         "kind": "classes", "probabilities": are}
    )  # fmt: skip
    assert said in told(sample.sample_result(sample.sample_target(outputs=(read,))), view)


@VIEWS
def test_how_many_samples_the_figures_are_of_is_told(view: str) -> None:
    """Guards against percentages of nobody knows how many samples."""
    text = told(sample.sample_result(), view)
    assert "10,000" in text and "5,000" in text


def test_the_page_says_which_rows_a_mark_is_of() -> None:
    """Guards against a warning of some figure, somewhere."""
    target, found = sample.sample_target(), []
    for each in target.candidates:
        own = dict(each.measurements)
        if each.status == "screened":
            wide = own["latency.p50"].model_copy(update={"marks": ("wide",)})
            own["latency.p50"] = wide
        found.append(each.model_copy(update={"measurements": own}))
    text = told(
        sample.sample_result(target.model_copy(update={"candidates": tuple(found)})), "html"
    )
    assert "wider than 3% to each side, before rounding (#4)" in text


@VIEWS
def test_a_mark_stands_beside_the_figure_that_it_is_of(view: str) -> None:
    """Guards against a row that is marked by a figure that it does not name."""
    target = sample.sample_target()
    chosen = target.candidates[1]
    own = dict(chosen.measurements)
    own["ratio.latency.p50"] = own["ratio.latency.p50"].model_copy(update={"marks": ("wide",)})
    marked = chosen.model_copy(update={"measurements": own})
    form = {"candidates": (target.candidates[0], marked, *target.candidates[2:])}
    text = told(sample.sample_result(target.model_copy(update=form)), view)
    told_there = {"terminal": "0.41x (0.41 to 0.42x, wide)", "html": "0.41x 0.41 to 0.42x · wide"}
    assert told_there[view] in text
    assert "wide: the interval of a ratio is wider than 3% to each side" in text.lower()


def test_a_verdict_on_a_marked_figure_says_so() -> None:
    """Guards against a bound on p99 that passes by a handful of inferences."""
    figure = Measurement(
        quantity="latency.p99", value=7.2, unit="ms", low=7.0, high=7.4, marks=("few",)
    )
    verdict = judge(parse_constraint("latency.p99 <= 8 ms"), figure)
    assert "latency.p99 7.20 ms (95% interval 7.00 to 7.40 ms), marked few;" in verdict.sentence
    assert held(verdict) == "7.20 ms (7.00 to 7.40 ms, few)"


@VIEWS
def test_why_the_chosen_was_chosen_is_told_once(view: str) -> None:
    """Guards against a sentence that stands at the head and in the row again."""
    result = sample.sample_result()
    assert told(result, view).count("is the best measured artifact") == 1
    heading = re.search(r"<h2[^>]*>(.*?)</h2>", draw(result, "html"))
    assert heading and "best measured" not in heading[1]


@VIEWS
def test_what_ties_is_not_called_lost(view: str) -> None:
    """Guards against a loser that is level with the winner."""
    target = changed(sample.sample_target(),
                     lost={"reason": "a tie with the chosen, which is smaller: 1.01x"})  # fmt: skip
    text = told(sample.sample_result(target), view)
    assert "tie, larger" in text and "tie: it meets the constraints" in text and "lost" not in text


@VIEWS
def test_why_two_times_do_not_divide_to_a_ratio_is_told(view: str) -> None:
    """Guards against readers who divide two rows and find another number."""
    assert "dividing the times of two rows gives another" in told(sample.sample_result(), view)


def test_the_page_has_a_title_for_people_and_the_source_below() -> None:
    """Guards against net.py:resnet as the name of a report."""
    page = draw(sample.sample_result(), "html")
    title = f"edgeopt: resnet on {sample.TARGET}"
    assert f"<title>{title}</title>" in page and f"<h1>{title}</h1>" in page
    assert "Source: net.py:resnet" in told(sample.sample_result(), "html")


def test_the_page_has_no_column_without_a_figure_and_names_what_it_counts() -> None:
    """Guards against a column of dashes, and against a bare number of nodes."""
    target = sample.sample_target()
    text = told(sample.sample_result(target), "html")
    assert "17 nodes on CPU" in text and "Peak memory added" in text
    light = tuple(
        c.model_copy(update={"measurements": {k: m for k, m in c.measurements.items()
                                              if k not in ("memory.peak", "load_time")}})
        for c in target.candidates
    )  # fmt: skip
    text = told(sample.sample_result(target.model_copy(update={"candidates": light})), "html")
    assert "Peak memory added" not in text and "oad time" not in text and "17 nodes" in text


@VIEWS
def test_a_stage_s_wide_figure_is_marked_and_several_stages_have_a_heading(view: str) -> None:
    """Guards against a row of two stages below "stage", and a wide interval without its mark."""
    before, after, *_ = sample.sample_target().candidates
    ratio = Measurement(quantity="ratio.latency.p50", value=0.32, unit="x", low=0.31, high=0.33,
                        marks=("wide",))  # fmt: skip
    stage = StageFigure(
        stage="prune > distill", form="int8", before=before.id, after=after.id, ratio=ratio
    )
    text = told(sample.sample_result(sample.sample_target(stages=(stage,))), view)
    said = {
        "terminal": "time of the chain with a stage, over its time without",
        "html": "Stage, or stages together",
    }
    assert said[view] in text
    assert "0.31 to 0.33x" in text and "wide: the interval of a ratio is wider" in text.lower()


def test_what_is_one_is_not_told_as_several() -> None:
    """Guards against "Racing 1 candidates"."""
    assert [counted(n, "candidate") for n in (0, 1, 1200)] == [
        "0 candidates", "1 candidate", "1,200 candidates",
    ]  # fmt: skip


def test_what_pruning_reached_is_told_beside_what_was_asked() -> None:
    """Guards against 0.25 of something, kept or removed."""
    target = sample.sample_target()
    costs = {"before": {"macs": 1000, "parameters": 80}, "after": {"macs": 245, "parameters": 20}}
    chosen = target.candidates[1]
    step = chosen.chain[0].model_copy(update={"found": {"layers": [], **costs}})
    target = changed(target, chosen={"chain": (step, *chosen.chain[1:])})
    text = told(sample.sample_result(target), "terminal")
    assert "pruned to 24.5% of multiply-accumulates and 25.0% of parameters" in text


def test_a_candidate_that_guesses_is_told_so_without_names_of_jobs() -> None:
    """Guards against ids of jobs that stand before what went wrong."""
    error = {"where": "score:validation:local/litert:a/b", "what": "it is close to guessing"}
    assert error_in_words(error) == "it is close to guessing"
    assert error_in_words({"where": "fp16", "what": "broke"}) == "fp16: broke"


def test_the_page_names_the_runtime_beside_its_version(made: Path) -> None:
    """Guards against a version of nobody knows what, where a target has one runtime."""
    result = optimized(made)
    version = result.versions["onnxruntime"]
    assert f"Runtime onnxruntime {version}" in told(result, "html")
