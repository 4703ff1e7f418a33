"""Runs that would end well and mean nothing: each is told so, by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from e2e_project import MODEL, Project, save_samples

METRIC = """\
import numpy as np

def margin(outputs, labels):
    (scores,) = outputs.values()
    own = scores[np.arange(len(labels)), labels]
    rest = np.where(np.eye(scores.shape[1], dtype=bool)[labels], -np.inf, scores).max(axis=1)
    return own - rest

def error(outputs, labels):
    (scores,) = outputs.values()
    return float((scores.argmax(axis=1) != labels).mean())

def broken(outputs, labels):
    return undefined_name

def slow(outputs, labels):
    while True:
        pass
"""


@pytest.fixture
def project(onnx_project: Project) -> Project:
    """The project starting from ONNX."""
    return onnx_project


def short(project: Project, *extra: str) -> None:
    """The project's recipe with one plain pass, and lines added."""
    text = project.recipe.read_text()
    project.write(
        text[: text.index("passes:")]
        + "passes: [simplify-onnx]\n"
        + "".join(f"{line}\n" for line in extra)
    )


def notes(project: Project) -> str:
    return " ".join(project.optimize()["notes"])


def test_labels_off_by_one_are_named(project: Project) -> None:
    short(project)
    with np.load(MODEL / "fashion_mnist.npz") as archive:
        labels = {
            f"{s}__label": (archive[f"{s}.label"][:200] + 1) % 10 for s in ("validation", "test")
        }
    save_samples(project.folder / "samples.npz", **labels)
    told = notes(project)
    assert "no better than always naming the most frequent class" in told
    assert "the labels are +1 off the model's classes: corrected, accuracy would be 9" in told


def test_missing_preprocessing_is_named_with_what_the_model_was_fed(project: Project) -> None:
    short(project)
    project.edit("recipe.yaml", "[{scale: 255}, {normalize: {mean: 0.286, std: 0.353}}]",
                 "[{normalize: {mean: 1000000.0, std: 0.001}}]")  # fmt: skip
    told = notes(project)
    assert "the source's accuracy" in told and "compare data.preprocess" in told
    assert "it was fed 'image' from -1e+09 to" in told


def test_metrics_of_the_recipe_s_own_are_measured_and_bounded(project: Project) -> None:
    (project.folder / "metrics.py").write_text(METRIC)
    short(project, "metrics:", "  - {name: margin, function: 'metrics.py:margin'}",
          "  - {name: error, function: 'metrics.py:error', better: less}")  # fmt: skip
    bounds = '"metric.error <= source + 0.05", "metric.margin >= 0.9x source"'
    project.edit("recipe.yaml", '"accuracy >= source - 10pt"', bounds)
    target = project.optimize()["targets"][0]
    measured = target["candidates"][0]["measurements"]
    assert measured["metric.error"]["value"] == pytest.approx(1 - measured["accuracy"]["value"])
    assert measured["difference.metric.margin"]["value"] == pytest.approx(0.0, abs=1e-3)
    assert target["source"]["metric.margin"]["value"] > 0
    assert {v["quantity"] for v in target["candidates"][0]["verdicts"]} == {
        "metric.error", "metric.margin",
    }  # fmt: skip
    assert target["test"]["verdicts"] and target["verdict"] == "chosen"
    again = json.loads(project.run("optimize", "recipe.yaml", "--quick", "--json").stdout)
    assert not [id for id in again["jobs"]["ran"] if id.startswith("metric:")]


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("  - {name: broken, function: 'metrics.py:broken'}", 1, "NameError"),
        ("  - {name: gone, function: 'metrics.py:gone'}", 1, "no callable 'gone'"),
        ("  - {name: gone, function: 'nowhere.py:gone'}", 1, "no such"),
        ("  - {name: a-b, function: 'metrics.py:error'}", 2, "recipe.yaml"),
    ],
)
def test_a_metric_that_cannot_work_is_one_clear_error(
    project: Project, line: str, code: int, said: str
) -> None:
    (project.folder / "metrics.py").write_text(METRIC)
    short(project, "metrics:", line)
    done = project.run("optimize", "recipe.yaml", "--quick", "--out", "out")
    assert done.returncode == code, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr
    assert not (project.folder / "out").exists() and not project.left_behind()


def test_a_bound_on_a_metric_that_is_not_there_names_the_line(project: Project) -> None:
    project.edit("recipe.yaml", "accuracy >= source - 10pt", "metric.gone <= 1")
    done = project.run("optimize", "recipe.yaml")
    assert done.returncode == 2
    assert (
        "'metric.gone' is not a metric of this recipe" in done.stderr and "metrics:" in done.stderr
    )
