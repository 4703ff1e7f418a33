"""One source, every runtime of the device, one choice."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from e2e_project import RECIPE, Project
from short_races import shortened

import edgeopt

PASSES = """\
passes:
  - one_of: [export-onnx, export-tflite]
  - one_of: [none, {quantize-int8: {scheme: static-int8-io}}]
"""


@pytest.fixture
def project(project: Project) -> Project:
    head = RECIPE[: RECIPE.index("passes:")].replace("[local/onnxruntime]", '["local/*"]')
    project.write(head + PASSES)
    return project


def test_the_runtimes_race_and_the_smallest_file_wins_with_its_runtime(project: Project) -> None:
    result = project.optimize()
    (target,) = result["targets"]
    places = Counter(c["target"] for c in target["candidates"])
    assert places == {"local/onnxruntime": 1, "local/openvino": 1, "local/litert": 2}
    by_id = {c["id"]: c for c in target["candidates"]}
    assert by_id[target["reference"]]["target"] == "local/onnxruntime"
    for candidate in target["candidates"]:
        assert candidate["placement"], candidate["id"]
        assert candidate["measurements"]["ratio.latency.p50"]["value"] > 0
    chosen = by_id[target["chosen"]]
    assert chosen["label"].endswith("quantize-int8(scheme=static-int8-io)"), "size is the objective"
    assert "litert: " in target["sentence"] and " is the best" in target["sentence"]
    assert any("quantize-int8 for onnx" in note for note in result["notes"])
    kept = {c["target"]: c["path"] for c in target["candidates"] if c["path"]}
    assert kept == {
        "local/litert": "best/local/model.tflite",
        "local/onnxruntime": "runners-up/local/onnxruntime/model.onnx",
        "local/openvino": "runners-up/local/openvino/model.onnx",
    }
    best = edgeopt.load(project.folder / "out").best()
    assert (best.target, best.path) == (
        "local/litert",
        project.folder / "out" / kept["local/litert"],
    )
    stated = chosen["measurements"]["accuracy"]["value"]
    assert accuracy(project, str(best.path)) == stated


def accuracy(project: Project, path: str) -> float:
    """Of a model with int8 inputs and outputs, by nothing but the runtime."""
    with np.load(project.folder / "samples.npz") as archive:
        images, labels = archive["validation.images"], archive["validation.label"]
    model = Interpreter(path)
    model.allocate_tensors()
    (taken,), (given,) = model.get_input_details(), model.get_output_details()
    scale, zero = taken["quantization"]
    right = 0
    for image, label in zip(images, labels, strict=True):
        real = (image.astype(np.float32) / 255 - np.float32(0.286)) / np.float32(0.353)
        codes = np.clip(np.rint(real.astype(np.float64) / scale) + zero, -128, 127).astype(np.int8)
        model.set_tensor(taken["index"], codes[np.newaxis, :, :, np.newaxis])
        model.invoke()
        right += int(model.get_tensor(given["index"]).argmax() == label)
    return right / len(labels)


@pytest.mark.long
def test_files_of_two_formats_race_without_a_recipe(project: Project) -> None:
    project.run("optimize", "recipe.yaml", "--no-bench", "--out", "out")
    made = sorted(str(p.relative_to(project.folder)) for p in project.folder.rglob("model.*ite"))
    models = sorted(str(p.relative_to(project.folder)) for p in project.folder.rglob("*.onnx"))
    with shortened():
        found = edgeopt.benchmark(
            *(project.folder / path for path in (models[0], made[0])), store=project.store
        )
    (target,) = found["targets"]
    assert [file["target"] for file in target["files"]] == [
        "local/onnxruntime",
        "local/openvino",
        "local/litert",
    ]
    for file in target["files"]:
        assert file["measurements"]["ratio.latency.p50"]["value"] > 0
