"""``edgeopt compare`` on real files and results: figures, verdicts, exit codes, views."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from e2e_project import MODEL, Project, save_samples
from jsonschema import Draft202012Validator
from onnx import numpy_helper

from edgeopt.report import COMPARISONS, draw
from edgeopt.schema.comparison import Comparison

SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "comparison.schema.json"


@pytest.fixture
def project(onnx_project: Project) -> Project:
    """The project starting from ONNX."""
    return onnx_project


@pytest.fixture
def models(project: Project) -> Project:
    """``a.onnx``, its copy ``same.onnx``, ``worse.onnx`` and samples ready to feed."""
    shutil.copy(MODEL / "source.onnx", project.folder / "a.onnx")
    shutil.copy(MODEL / "source.onnx", project.folder / "same.onnx")
    model = onnx.load(MODEL / "source.onnx")
    heaviest = max(model.graph.initializer, key=lambda tensor: int(np.prod(tensor.dims)))
    weights = numpy_helper.to_array(heaviest).copy()
    weights[::2] = 0.0
    heaviest.CopyFrom(numpy_helper.from_array(weights, heaviest.name))
    onnx.save(model, project.folder / "worse.onnx")
    with np.load(MODEL / "fashion_mnist.npz") as archive:
        images = archive["validation.images"][:300]
        ready = (images[:, None].astype(np.float32) / 255 - 0.286) / 0.353
        label = archive["validation.label"][:300].astype(np.int64)
    np.savez(project.folder / "ready.npz", image=ready, label=label)
    return project


def compared(project: Project, code: int, *args: str) -> str:
    done = project.run("compare", *args, "--quick", "--quiet")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


SAMPLES = ("--data", "ready.npz", "--label", "label", "--target", "local/onnxruntime")


def test_a_worse_model_fails_what_it_must_keep_and_is_shown_in_every_form(models: Project) -> None:
    bounds = ("--require", "accuracy >= source - 1pt", "--require", "size <= 1.01x source")
    text = compared(models, 3, "a.onnx", "worse.onnx", *SAMPLES, *bounds, "--json")
    found = json.loads(text)
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(found)
    (pair,) = found["pairs"]
    assert [v["verdict"] for v in pair["verdicts"]] == ["fail", "pass"]
    told, apart = pair["answers"], pair["against"]["difference.accuracy"]
    assert told["n"] == 300 and told["changed"] >= told["gained"] + told["lost"] > 0
    assert apart["value"] == pytest.approx((told["gained"] - told["lost"]) / 300)
    assert told["p"] < 0.01
    ratio = pair["against"]["ratio.latency.p50"]
    assert ratio["low"] < ratio["value"] < ratio["high"]

    document = Comparison.model_validate_json(text)
    suite = ElementTree.fromstring(draw(document, "junit", COMPARISONS))[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    failure = suite[0].find("failure")
    assert failure is not None and failure.get("type") == "fail"
    comment = draw(document, "markdown", COMPARISONS)
    assert "| accuracy |" in comment and "❌" in comment and "✅" in comment
    assert "a different top class" in draw(document, "terminal", COMPARISONS)
    hostile = document.model_copy(update={"a": "|\x1b[31m<b>*evil*\n# x", "b": "\x00"})
    assert "\\|" in draw(hostile, "markdown", COMPARISONS) and "\x1b" not in draw(
        hostile, "markdown", COMPARISONS
    )
    ElementTree.fromstring(draw(hostile, "junit", COMPARISONS))


def test_a_copy_passes_and_a_bound_within_the_uncertainty_is_inconclusive(models: Project) -> None:
    even = ("--require", "fidelity.cosine >= 0.999", "--require", "size <= 1x source")
    out = ("--format", "markdown", "--out", "comment.md")
    assert compared(models, 0, "a.onnx", "same.onnx", *SAMPLES, *even, *out) == ""
    text = (models.folder / "comment.md").read_text()
    assert "0 of 300 samples get a different top class" in text
    with np.load(models.folder / "ready.npz") as archive:
        few = {name: archive[name][:20] for name in archive.files}
    np.savez(models.folder / "ready.npz", **few)
    close = ("--require", "accuracy >= source - 0.1pt")
    assert "inconclusive" in compared(models, 4, "a.onnx", "same.onnx", *SAMPLES, *close)


def test_a_recipe_gives_the_samples_and_random_ones_only_race(models: Project) -> None:
    text = compared(models, 0, "a.onnx", "same.onnx", "--recipe", "recipe.yaml", "--split", "test",
                    "--target", "local/onnxruntime")  # fmt: skip
    assert "samples: test of recipe.yaml" in text and "accuracy" in text
    text = compared(models, 0, "a.onnx", "same.onnx", "--target", "local/onnxruntime")
    assert "samples: random" in text and "accuracy" not in text


def test_results_are_compared_by_what_they_chose(project: Project, onnx_before: Project) -> None:
    shutil.copytree(onnx_before.folder / "out", project.folder / "before")
    project.edit("recipe.yaml", "one_of: [none, {quantize-int8: {scheme: u8s8-reduced}}]",
                 "simplify-onnx")  # fmt: skip
    project.optimize()
    found = json.loads(compared(project, 3, "before", "out", "--json",
                                "--require", "size <= 1.1x source"))  # fmt: skip
    (pair,) = found["pairs"]
    assert found["kind"] == "results" and pair["verdicts"][0]["verdict"] == "fail"
    assert any(note.startswith("different choice") for note in pair["notes"])
    assert (
        pair["against"]["difference.accuracy"]["low"]
        < 0
        < (pair["against"]["difference.accuracy"]["high"])
    )
    text = compared(project, 0, "before", "out", "--rerace", "--target", "local/onnxruntime")
    assert "ratio" not in text and "latency.p50" in text and "x (" in text


def test_results_of_other_machines_have_no_common_times(
    project: Project, onnx_before: Project
) -> None:
    shutil.copytree(onnx_before.folder / "out", project.folder / "out")
    result = json.loads((project.folder / "out" / "result.json").read_text())
    other = project.folder / "other"
    other.mkdir()
    result["targets"][0]["machine"]["isa"] = "x86_64-avx2_of_old"
    (other / "result.json").write_text(json.dumps(result))
    (pair,) = json.loads(compared(project, 0, "out", "other", "--json"))["pairs"]
    assert not [q for q in pair["against"] if "latency" in q]
    assert "measured on different machines" in " ".join(pair["notes"])
    done = project.run("compare", "out", "other", "--require", "latency.p50 <= 2x source")
    assert done.returncode == 2 and "measured on a different machine" in done.stderr


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("a.onnx", "absent.onnx"), 1, "absent.onnx"),
        (("a.onnx", "out"), 2, "out"),
        (("a.onnx", "other.onnx"), 2, "its inputs differ from those of a.onnx"),
        (("a.onnx", "same.onnx", "--require", "accuracy >= source"), 2, "was not measured"),
        (("a.onnx", "same.onnx", "--require", "speed <= 2"), 2, "unknown quantity 'speed'"),
        (("a.onnx", "same.onnx", "--data", "ready.npz", "--label", "lable"), 1, "no array 'lable'"),
        (("a.onnx", "same.onnx", "--recipe", "recipe.yaml", "--split", "tset"), 2, "'tset'"),
    ],
)
def test_what_cannot_be_compared_is_one_clear_error(
    models: Project, args: tuple[str, ...], code: int, said: str
) -> None:
    (models.folder / "out").mkdir()
    model = onnx.load(models.folder / "a.onnx")
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 32
    onnx.save(model, models.folder / "other.onnx")
    save_samples(models.folder / "samples.npz")
    done = models.run("compare", *args, "--quick", "--target", "local/onnxruntime")
    assert done.returncode == code, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr
    assert models.left_behind() == []
