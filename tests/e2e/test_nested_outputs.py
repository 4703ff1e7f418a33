"""A network whose answers are nested, and partly None, from its factory to artifacts."""

from __future__ import annotations

import pytest
from e2e_project import RECIPE, Project

NESTED = """\
features = y.mean(dim=(2, 3))
        return {"answer": (self.head(features), None), "more": [{"features": features}]}"""


@pytest.mark.long
def test_nested_outputs_are_flattened_scored_and_raced_in_both_formats(project: Project) -> None:
    project.edit("net.py", "return self.head(y.mean(dim=(2, 3)))", NESTED)
    head = RECIPE[: RECIPE.index("passes:")].replace("[local/onnxruntime]", '["local/*"]')
    project.write(head + "passes:\n  - one_of: [export-onnx, export-tflite]\n")
    (target,) = project.optimize()["targets"]
    assert target["verdict"] == "chosen"
    by_format = {c["artifact"]["format"]: c for c in target["candidates"]}
    assert set(by_format) == {"onnx", "tflite"}
    for candidate in by_format.values():
        outputs = candidate["description"]["signature"]["outputs"]
        assert [output["name"] for output in outputs] == ["answer_0", "more_0_features"]
        assert [output["shape"][-1] for output in outputs] == [10, 128]
        assert candidate["measurements"]["accuracy"]["value"] > 0.8
        assert candidate["measurements"]["difference.accuracy"]["value"] == 0.0
    assert [output["tensor"]["name"] for output in target["outputs"]] == [
        "answer_0", "more_0_features",
    ]  # fmt: skip
