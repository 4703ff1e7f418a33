"""Files that must run in an old version of ONNX Runtime, through the real command and pip."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from e2e_project import Project
from onnx import helper
from onnx_project import tiny_project

FLOOR = """\
runtime: {onnxruntime: ">=1.15"}
passes:
  - one_of: [none, {quantize-int4: {form: matmulnbits, block: 16}}]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = tiny_project(tmp_path)
    made.extra = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    made.edit("recipe.yaml", "passes:\n  - simplify-onnx\n", FLOOR)
    return made


def test_an_old_version_is_asked_for_before_anything_is_built(project: Project) -> None:
    refused = project.run("optimize", "recipe.yaml", "--no-race")
    assert refused.returncode == 2
    assert "edgeopt env make onnxruntime-1.15.0" in refused.stderr


def test_a_source_that_is_too_new_is_refused_when_planning(project: Project) -> None:
    model = onnx.load(project.folder / "m.onnx")
    model.opset_import[0].CopyFrom(helper.make_opsetid("", 21))
    onnx.save(model, project.folder / "m.onnx")
    refused = project.run("plan", "recipe.yaml")
    assert refused.returncode == 2
    assert "opset 21 is newer than 18" in refused.stderr


@pytest.mark.long
def test_what_the_old_version_does_not_run_fails_and_the_rest_answers_alike(
    project: Project,
) -> None:
    """ONNX Runtime has MatMulNBits since 1.16."""
    result = project.optimize("--yes")
    (target,) = result["targets"]
    by_label = {c["label"]: c for c in target["candidates"]}
    old = by_label["quantize-int4(block=16)"]
    assert old["status"] == "failed"
    assert "onnxruntime 1.15.0, the oldest that it must run in" in old["reason"]
    (parity,) = by_label["source"]["parity"]
    assert (parity["device"], parity["n"], parity["flips"]) == ("onnxruntime 1.15.0", 16, 0)
    assert target["chosen"] == by_label["source"]["id"]
