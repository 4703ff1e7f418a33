"""The metric of docs/add-a-metric.md, installed as the page says and used by the real command."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import onnx
import pytest
from e2e_project import SHORT
from onnx import TensorProto, helper, numpy_helper
from plugging import install_page, ran

from edgeopt.schema.quantities import Quantity

PAGE = Path(__file__).parents[2] / "docs" / "add-a-metric.md"
EDGEOPT = Path(sys.executable).with_name("edgeopt")
RECIPE = """\
model: prices.onnx
data:
  source: prices.npz
  inputs: {x: x}
  label: price
  splits: {calibration: calibration, validation: validation}
targets: [local/onnxruntime]
objective: size
constraints: ["rmsle <= source + 0.2"]
passes:
  - one_of: [none, {quantize-int8: {scheme: s8s8}}]
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder in which the page's package is installed."""
    return install_page(PAGE, tmp_path / "site", "rmsle-metric")


def test_the_pages_own_test_passes(site: Path) -> None:
    done = ran(site, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", site)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[5-9] passed", done.stdout)


@pytest.fixture
def project(site: Path) -> Path:
    """A recipe with its model and samples beside the site."""
    rng, folder = np.random.default_rng(0), site.parent
    weights = rng.random((8, 1)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["price"])], "prices",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])],
        [helper.make_tensor_value_info("price", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / "prices.onnx")
    arrays = {}
    for split in ("calibration", "validation"):
        x = rng.random((64, 8)).astype(np.float32)
        arrays |= {f"{split}.x": x, f"{split}.price": x @ weights + 0.1 * rng.random((64, 1))}
    np.savez(folder / "prices.npz", **arrays)
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


def test_a_recipe_bounds_it(site: Path, project: Path) -> None:
    """Declared, bounded, measured, decided by, and named by its title in the report."""
    done = ran(site, *SHORT, "optimize", "recipe.yaml", "--quick", "--out", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    (target,) = json.loads((project / "out" / "result.json").read_text())["targets"]
    assert target["metric"] == "rmsle"
    for candidate in target["candidates"]:
        assert 0 < candidate["measurements"]["rmsle"]["value"] < 1
        assert "difference.rmsle" in candidate["measurements"]
    assert "Log error" in (project / "out" / "report.html").read_text()


def changed(file: Path, was: str, becomes: str) -> None:
    text = file.read_text()
    assert was in text
    file.write_text(text.replace(was, becomes))


def test_what_it_prints_does_not_spoil_a_result_on_stdout(site: Path, project: Path) -> None:
    for file in ("__init__.py", "measured.py"):
        code = site / "rmsle_metric" / file
        code.write_text(f"print('loaded {file}')\n{code.read_text()}")
    changed(site / "rmsle_metric/measured.py", "    truth =", "    print('measuring')\n    truth =")
    done = ran(site, *SHORT, "optimize", "recipe.yaml", "--quick", "--json", "--out", "out")
    assert done.returncode == 0, done.stderr
    (target,) = json.loads(done.stdout)["targets"]
    assert target["metric"] == "rmsle"
    assert {"measuring", "loaded __init__.py", "loaded measured.py"} <= set(done.stderr.split("\n"))


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("measure, difference, ratio =", "measure, _, ratio =", "has no difference(quantity"),
        ("import numpy as np", "import numpyy as np", "failed: ModuleNotFoundError"),
    ],
)
def test_a_module_that_cannot_measure_is_told_before_anything_is_built(
    site: Path, project: Path, was: str, becomes: str, told: str
) -> None:
    changed(site / "rmsle_metric" / "measured.py", was, becomes)
    done = ran(site, EDGEOPT, "plan", "recipe.yaml")
    assert done.returncode == 1 and not done.stdout
    assert told in done.stderr and "the metric rmsle (rmsle_metric.measured)" in done.stderr
    assert "recipe.yaml:9" in done.stderr and "bug in edgeopt" not in done.stderr


def test_a_comparison_that_fails_is_told_with_the_candidates(site: Path, project: Path) -> None:
    with (site / "rmsle_metric" / "measured.py").open("a") as code:
        code.write("\n\ndef difference(quantity, name, output, source, labels):\n    return 0.5\n")
    done = ran(site, *SHORT, "optimize", "recipe.yaml", "--quick", "--out", "out")
    said = done.stdout + done.stderr
    assert done.returncode not in (0, 2) and "bug in edgeopt" not in said
    assert "'difference' of the metric rmsle" in " ".join(said.split()), said


def test_one_that_does_not_load_leaves_the_commands_that_need_none(
    site: Path, project: Path
) -> None:
    changed(site / "rmsle_metric" / "__init__.py", "from edgeopt", "import nowhere\nfrom edgeopt")
    told = "the entry point 'rmsle' of edgeopt.metrics: 'rmsle_metric:RMSLE' cannot be loaded"
    found = json.loads(ran(site, EDGEOPT, "doctor", "--json").stdout)
    assert any(told in problem and "nowhere" in problem for problem in found["problems"])
    shown = ran(site, EDGEOPT, "doctor")
    assert shown.returncode == 0 and "problem: a metric cannot be used: the" in shown.stdout
    assert ran(site, EDGEOPT, "inspect", "prices.onnx").returncode == 0
    wanted = ran(site, EDGEOPT, "plan", "recipe.yaml")
    assert wanted.returncode == 2 and told in wanted.stderr


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ('unit=""', 'unit="parsec"', "declares unit 'parsec'"),
        ('labels="values"', 'labels="words"', "declares labels 'words'"),
        (
            'rmsle_metric.measured"',
            'rmsle_metric.nowhere"',
            "failed: ModuleNotFoundError",
        ),
        ('"rmsle",', '"accuracy",', "two metrics are called 'accuracy'"),
    ],
)
def test_a_wrong_declaration_is_told_in_one_line(
    site: Path, was: str, becomes: str, told: str
) -> None:
    declaration = site / "rmsle_metric" / "__init__.py"
    declaration.write_text(declaration.read_text().replace(was, becomes))
    tried = (
        "import numpy as np; from edgeopt.evaluation import compute; x = np.ones((9, 1)); "
        "from edgeopt.schema.errors import EdgeoptError\n"
        "try: compute('rmsle', {'o': x}, {'o': x})\n"
        "except EdgeoptError as error: print(error)"
    )
    done = ran(site, sys.executable, "-c", tried)
    assert told in done.stdout and not done.stderr


def test_the_checklist_names_every_field() -> None:
    """Those that a metric has; the others belong to what devices measure."""
    told = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE))
    of_devices = {"raced", "part_of"}
    assert told == {field.name for field in fields(Quantity)} - of_devices
