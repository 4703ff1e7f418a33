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


def test_a_recipe_bounds_it(site: Path) -> None:
    """Declared, bounded, measured, decided by, and named by its title in the report."""
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
    done = ran(site, EDGEOPT, "optimize", "recipe.yaml", "--quick", "--out", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    (target,) = json.loads((folder / "out" / "result.json").read_text())["targets"]
    assert target["metric"] == "rmsle"
    for candidate in target["candidates"]:
        assert 0 < candidate["measurements"]["rmsle"]["value"] < 1
        assert "difference.rmsle" in candidate["measurements"]
    assert "Log error" in (folder / "out" / "report.html").read_text()


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
