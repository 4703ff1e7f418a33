"""What views say of a result: the bounded quantity, its split, its direction, every bound."""

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

import edgeopt
from edgeopt.report import draw
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import Result, SliceFigure
from edgeopt.schema.shown import figure_text


def flat(text: str) -> str:
    return " ".join(text.split())


def terminal(target: Any) -> str:
    return flat(draw(sample.sample_result(target), "terminal"))


def page(target: Any) -> str:
    return flat(Text(draw(sample.sample_result(target), "html")).text)


def group(value: str, figure: float, difference: float, quantity: str = "accuracy") -> SliceFigure:
    unit = "fraction" if quantity == "accuracy" else ""
    made = {
        name: Measurement(quantity=name, value=each, unit=unit, low=each - 0.01, high=each + 0.01)
        for name, each in ((quantity, figure), (f"difference.{quantity}", difference))
    }
    return SliceFigure(
        column="class", value=value, n=50, figure=made[quantity],
        difference=made[f"difference.{quantity}"],
    )  # fmt: skip


def with_groups(*groups: SliceFigure, **changed: Any) -> Any:
    return sample.sample_target(slices={"test": groups}, **changed)


# -- splits


def test_the_terminal_shows_test_figures_first_and_names_the_split() -> None:
    """Guards against a headline whose figures are of another split than the reader thinks."""
    text = terminal(sample.sample_target())
    block = text[: text.index("candidate and reason")]
    first, second = block.index("93.65%"), block.index("93.74%")  # of test, of validation
    assert first < second
    assert "accuracy (test) 93.65%" in block and "accuracy (validation) 93.74%" in block
    table = text[text.index("candidate and reason") :]
    assert "(validation)" in table and "93.74% 0.41x" in table
    assert "93.65%" not in table, "a column of one split"


def test_the_page_shows_test_figures_first_and_names_the_split() -> None:
    """Guards against tiles and columns that leave open which split a figure is of."""
    text = page(sample.sample_target())
    tiles = text[: text.index("Constraints")]
    assert "Accuracy (test) 93.65%" in tiles
    assert tiles.index("93.65%") < tiles.index("93.74%")
    rows = text[text.index("Candidates") :]
    assert "Accuracy (validation)" in rows
    first, extra = rows.split("All figures", 1)
    assert "93.74%" in first and "93.65%" not in first, "a column of one split"
    assert "Accuracy (test) 93.65%" in extra


# -- groups


def test_where_no_group_lost_none_is_named_as_dropped() -> None:
    """Guards against blaming a class that lost nothing."""
    text = terminal(with_groups(group("0", 0.9, 0.0), group("6", 0.8, 0.0), group("7", 0.95, 0.01)))
    assert "largest drop (test) none: no group lost" in text
    assert "worst class (test) class 6: 80.00%" in text


def test_the_largest_drop_and_the_worst_class_are_two_lines() -> None:
    """Guards against a drop that hides which class is worst, and the other way round."""
    target = with_groups(group("0", 0.95, -0.03), group("6", 0.80, -0.01), group("7", 0.9, 0.02))
    text = terminal(target)
    assert "largest drop (test) class 0: -3.00pt" in text
    assert "worst class (test) class 6: 80.00%" in text
    text = page(target)
    assert "Largest drop" in text and "Worst class" in text


def test_with_errors_the_group_whose_error_grew_is_the_one_that_lost() -> None:
    """Guards against a direction that is wrong for every quantity but accuracy."""
    target = with_groups(
        group("a", 1.0, -0.5, "mae"), group("b", 2.0, 0.4, "mae"), group("c", 3.0, 0.0, "mae")
    )
    text = terminal(target)
    assert "largest drop (test) class b:" in text
    assert "worst class (test) class c:" in text


# -- bounds


def test_the_terminal_shows_every_bound_with_its_verdict_and_figure() -> None:
    """Guards against bounds whose verdicts stand in the page alone."""
    text = terminal(sample.sample_target())
    assert re.search(
        r"constraint accuracy >= source - 1\.0pt: pass, -0\.21pt \(-0\.37 to -0\.06pt\) on test; "
        r"pass, -0\.12pt \(-0\.28 to 0\.03pt\) on validation",
        text,
    )


def test_the_bounds_of_a_nearest_miss_are_shown_too() -> None:
    """Guards against a miss that does not say which bounds held."""
    missed = next(c for c in sample.candidates() if c.status == "infeasible")
    text = terminal(
        sample.sample_target(
            verdict="unmet", chosen=None, path=None, test={}, nearest_miss=missed.id
        )
    )
    assert "constraint accuracy >= source - 1.0pt: fail, -2.96pt" in text


def test_a_bound_that_was_not_judged_is_shown_as_such() -> None:
    """Guards against a bound that vanishes because its quantity was never measured."""
    missed = next(c for c in sample.candidates() if c.status == "infeasible")
    missed = missed.model_copy(update={"unjudged": ("latency.p50 <= 0.1x source",)})
    target = sample.sample_target(
        verdict="unmet", chosen=None, path=None, test={}, nearest_miss=missed.id,
        candidates=(missed,), reference="",
    )  # fmt: skip
    assert "constraint latency.p50 <= 0.1x source: not measured" in terminal(target)
    assert "latency.p50 <= 0.1x source not measured" in page(target)


# -- which quantity


def test_the_quantity_of_one_output_is_shown_by_its_name() -> None:
    """Guards against keys such as ``accuracy@scores`` that no view understands."""
    changed = []
    for each in sample.candidates():
        kept = {}
        for quantity, m in each.measurements.items():
            name = quantity.replace("accuracy", "accuracy@scores")
            kept[name] = m.model_copy(update={"quantity": name})
        changed.append(each.model_copy(update={"measurements": kept}))
    target = sample.sample_target(candidates=tuple(changed), metric="accuracy@scores", test={})
    assert "accuracy@scores (validation) 93.74%" in terminal(target)
    assert "Accuracy of scores (validation) 93.74%" in page(target)


def test_what_a_figure_is_the_worst_of_stands_beside_it() -> None:
    """Guards against a figure of one output that reads as one of all."""

    class Placed(Measurement):
        where: str = ""

    found = Placed(quantity="fidelity.cosine", value=0.98, unit="", where="boxes")
    assert figure_text(found) == "0.9800 [boxes]"


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear layer with two float labels, close to what it answers, in a folder of its own."""
    folder = tmp_path_factory.mktemp("regression")
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(8, 2)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Tanh", ["m"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "m.onnx")
    x = rng.normal(size=(200, 8)).astype(np.float32)
    y = np.tanh(x @ weights) + rng.normal(scale=0.1, size=(200, 2)).astype(np.float32)
    np.savez(folder / "s.npz", **{"validation.x": x[:100], "validation.y": y[:100],
                                  "test.x": x[100:], "test.y": y[100:]})  # fmt: skip
    return folder


def optimized(folder: Path, **fields: Any) -> Result:
    return edgeopt.optimize(
        folder / "m.onnx",
        data={
            "source": str(folder / "s.npz"), "label": "y",
            "splits": {"validation": "validation", "test": "test"},
        },
        targets=["local/onnxruntime"], quick=True, store=folder / "store",
        **{"passes": ["simplify-onnx"], **fields},
    )  # fmt: skip


def largest_error(outputs: Any, labels: Any) -> Any:
    """The largest error of each sample; less is better."""
    return np.abs(next(iter(outputs.values())) - labels).max(axis=1)


SMALL = "size <= 1 MB"
OWN = {"name": "largest", "function": largest_error, "better": "less"}


@pytest.mark.parametrize(
    ("asked", "metric"),
    [
        ({"metrics": ["mae"], "constraints": [SMALL]}, "mae"),
        ({"constraints": [SMALL, "mae <= 1.0"]}, "mae"),
        ({"metrics": [OWN], "constraints": [SMALL]}, "metric.largest"),
        ({"metrics": [OWN], "constraints": ["metric.largest <= source + 0.1"]}, "metric.largest"),
        ({"metrics": ["mse", "mae"], "objective": "mae", "constraints": [SMALL]}, "mae"),
    ],
    ids=["listed", "bounded", "own", "own bounded", "objective"],
)
def test_what_was_bounded_or_listed_is_what_is_shown(
    regression: Path, asked: dict[str, Any], metric: str
) -> None:
    """Guards against views with dashes where the metric is not one of three."""
    result = optimized(regression, **asked)
    (target,) = result.targets
    assert target.metric == metric
    assert target.to_json()["metric"] == metric, "stored: views need not guess"
    assert any(c.on_front for c in target.candidates)
    drawn = flat(draw(result, "terminal"))
    assert f"{metric} (test)" in drawn
    assert "\u2013" not in Text(draw(result, "html")).text.partition("Candidates")[2][:400]


def test_the_plot_says_which_way_is_better(regression: Path) -> None:
    """Guards against a plot of errors that is read upside down."""
    passes = [{"one_of": ["simplify-onnx", "fp16"]}]
    result = optimized(regression, constraints=["mae <= 1.0"], passes=passes)
    assert "Left and down is better" in flat(Text(draw(result, "html")).text)


def test_a_result_of_the_first_schema_still_loads() -> None:
    """Guards against results of earlier versions that can no longer be read."""
    raw = sample.sample_result().to_json() | {"schema_version": 1}
    for target in raw["targets"]:
        target.pop("metric", None)
    result = Result.model_validate(raw)
    assert result.targets[0].metric == "accuracy"
    assert draw(result, "terminal") and draw(result, "html")
