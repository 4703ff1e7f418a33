"""Two results side by side: what is equal is equal, and what can be paired is paired."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from short_races import shortened

import edgeopt
from edgeopt.report import COMPARISONS, draw
from edgeopt.schema.result import Result

KEEP = "accuracy >= source - 0pt"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of three classes that is right on most samples, in a folder of its own."""
    place = tmp_path_factory.mktemp("classifier")
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(8, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Tanh", ["m"], ["y"])],
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), place / "m.onnx")
    x = rng.normal(size=(400, 8)).astype(np.float32)
    label = (x @ weights + rng.normal(scale=1.0, size=(400, 3))).argmax(axis=1)
    np.savez(place / "s.npz", **{"validation.x": x[:300], "validation.label": label[:300],
                                 "test.x": x[300:], "test.label": label[300:]})  # fmt: skip
    return place


def optimized(
    folder: Path, *passes: str, validation: str = "validation", raced: bool = True
) -> Result:
    with shortened():
        return edgeopt.optimize(
            folder / "m.onnx",
            data={
                "source": str(folder / "s.npz"), "label": "label",
                "splits": {"validation": validation, "test": "test"},
            },
            targets=["local/onnxruntime"], constraints=["accuracy >= source - 10pt"],
            objective="size", passes=list(passes), store=folder / "store",
            **({"quick": True} if raced else {"race": False}),
        )  # fmt: skip


@pytest.fixture(scope="module")
def plain(folder: Path) -> Result:
    return optimized(folder, "simplify-onnx")


@pytest.fixture(scope="module")
def half(folder: Path) -> Result:
    return optimized(folder, "fp16")


def without_scores(result: Result) -> Result:
    """As an earlier version wrote it."""
    raw: dict[str, Any] = result.to_json() | {"schema_version": 1}
    raw["source"].pop("scores", None)
    for target in raw["targets"]:
        target.pop("metric", None)
        for candidate in target["candidates"]:
            candidate.pop("scores", None)
    for facts in raw["data"].values():
        facts.pop("labels", None)
    return Result.model_validate(raw)


def difference(found: Any, quantity: str = "accuracy") -> Any:
    (pair,) = found.pairs
    return pair.against[f"difference.{quantity}"]


def test_a_result_equals_its_rerun(folder: Path, plain: Result) -> None:
    """Guards against a gate that stops a change which changed nothing."""
    again = optimized(folder, "simplify-onnx")
    found = edgeopt.compare(plain, again, require=[KEEP], store=folder / "store")
    assert found.exit_code == 0
    assert (difference(found).value, difference(found).interval) == (0.0, (0.0, 0.0))


def test_equal_files_on_equal_samples_are_equal_without_any_kept_output(
    tmp_path: Path, plain: Result
) -> None:
    """Guards against equality that depends on what a store still holds."""
    old = without_scores(plain)
    found = edgeopt.compare(old, old, require=[KEEP], store=tmp_path / "empty")
    assert found.exit_code == 0 and difference(found).interval == (0.0, 0.0)


def test_kept_outputs_are_paired(folder: Path, tmp_path: Path, plain: Result, half: Result) -> None:
    """Guards against intervals of two runs where the samples are the same ones."""
    paired = difference(edgeopt.compare(plain, half, store=folder / "store"))
    apart = difference(edgeopt.compare(plain, half, store=tmp_path / "empty"))
    widths = [m.interval[1] - m.interval[0] for m in (paired, apart)]
    assert "paired" in paired.protocol and "not paired" not in paired.protocol
    assert "not paired" in apart.protocol
    assert widths[0] < widths[1] / 2
    assert apart.value == pytest.approx(paired.value, abs=1e-9)


def test_other_samples_are_never_paired(folder: Path, plain: Result) -> None:
    """Guards against pairs of samples that are not the same."""
    other = optimized(folder, "simplify-onnx", validation="validation[:290]", raced=False)
    found = edgeopt.compare(plain, other, require=[KEEP], store=folder / "store")
    assert found.exit_code == 4
    assert "not paired" in difference(found).protocol


def test_as_many_other_samples_are_never_paired(folder: Path) -> None:
    """Guards against pairs of samples that only share their count."""
    first = optimized(folder, "simplify-onnx", validation="validation[:290]", raced=False)
    last = optimized(folder, "fp16", validation="validation[10:]", raced=False)
    found = edgeopt.compare(first, last, store=folder / "store")
    assert "not paired" in difference(found).protocol
    (pair,) = found.pairs
    assert "not paired: the samples of 'validation' differ" in pair.notes


def test_the_same_file_on_other_samples_is_not_taken_as_equal(
    tmp_path: Path, plain: Result
) -> None:
    """Guards against equality of answers to other questions."""
    raw = without_scores(plain).to_json()
    raw["data"]["validation"]["digest"] = "0" * 64
    found = edgeopt.compare(
        without_scores(plain), Result.model_validate(raw), store=tmp_path / "empty"
    )
    assert "not paired" in difference(found).protocol


def test_a_result_of_before_labels_were_told_is_paired_still(folder: Path, plain: Result) -> None:
    """Guards against samples that differ in what an older document did not say."""
    found = edgeopt.compare(without_scores(plain), plain, store=folder / "store")
    assert not any("samples" in note for note in found.notes)
    assert difference(found).interval == (0.0, 0.0)


def test_the_same_file_on_another_instruction_set_is_not_taken_as_equal(
    tmp_path: Path, plain: Result
) -> None:
    """Guards against equality of files whose kernels compute otherwise."""
    raw = without_scores(plain).to_json()
    raw["targets"][0]["machine"]["isa"] = "x86_64-avx2_of_old"
    other = Result.model_validate(raw)
    found = edgeopt.compare(without_scores(plain), other, store=tmp_path / "empty")
    assert "not paired" in difference(found).protocol


def test_times_stay_unpaired(folder: Path, plain: Result) -> None:
    """Guards against equality of what was timed twice."""
    found = edgeopt.compare(plain, plain, store=folder / "store")
    (pair,) = found.pairs
    assert pair.against["ratio.latency.p50"].low is not None


def test_a_target_that_b_no_longer_decides_does_not_pass(folder: Path, plain: Result) -> None:
    """Guards against a gate that lets a lost target through."""
    (target,) = plain.targets
    twin = target.model_copy(update={"target": "local/openvino"})
    lost = twin.model_copy(
        update={"verdict": "inconclusive", "chosen": None, "sentence": "nothing is proven"}
    )
    a = plain.model_copy(update={"targets": (target, twin)})
    b = plain.model_copy(update={"targets": (target, lost)})
    found = edgeopt.compare(a, b, require=["size <= 1x source"], store=folder / "store")
    assert found.exit_code == 4
    assert any("local/openvino" in note and "nothing is proven" in note for note in found.notes)
    suite = ElementTree.fromstring(draw(found, "junit", COMPARISONS))[0]
    assert (suite.get("tests"), suite.get("errors")) == ("2", "1")
    error = suite.find("testcase/error")
    assert error is not None and error.get("type") == "inconclusive"
