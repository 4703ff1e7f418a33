"""Scores by real agents of real files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from passes_bench import network, samples

from edgeopt.bench.score import Outputs, score
from edgeopt.bench.task import Task
from edgeopt.devices.local import LocalDevice
from edgeopt.schema.errors import DeviceError, ModelError
from edgeopt.schema.job import ArrayRef
from edgeopt.store import Store

Ask = Callable[..., dict[str, Any]]


def direct(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0]


PLACES = {"local/onnxruntime": "CPUExecutionProvider", "local/openvino": "CPU"}


@pytest.mark.extras
@pytest.mark.parametrize("target", PLACES)
@pytest.mark.parametrize("batch", ["batch", 1, 4])
def test_a_score_is_what_the_runtime_answers(
    ask: Ask, store: Store, batch: Any, target: str
) -> None:
    model, x = network(batch=batch), samples(10)
    value = ask("score", model=model, x=x, target=target)
    found = store.get_array(ArrayRef.model_validate(value["outputs"]["y"]))
    np.testing.assert_allclose(found, direct(network(), x), rtol=1e-4, atol=1e-5)
    assert (value["n"], value["order"]) == (10, ["y"])
    assert set(value["placement"]) == {PLACES[target]}
    assert sum(value["placement"].values()) > 0


def test_outputs_that_are_no_numbers_name_output_and_sample(ask: Ask) -> None:
    x = samples(40)
    x[33] = np.inf
    with pytest.raises(ModelError, match="output 'y' is NaN for sample 33"):
        ask("score", model=network(), x=x)


def test_a_device_that_claims_huge_outputs_fills_no_disk(tmp_path: Path) -> None:
    outputs = Outputs(["y"], 10**12, tmp_path)
    with pytest.raises(DeviceError, match=r"would take 1,000\.0 GB"):
        outputs.take(0, 1, {"y": np.zeros((1, 1), np.uint8)})
    assert not list(tmp_path.iterdir())


def test_the_first_samples_alone_are_scored_where_that_is_asked(
    task_of: Callable[..., Task], store: Store, tmp_path: Path
) -> None:
    onnx.save(network(), tmp_path / "m.onnx")
    x = samples(10)
    task = task_of({"model": "local/onnxruntime"}, tmp_path / "m.onnx", "x", x)
    told: list[tuple[int, int]] = []
    with LocalDevice().lease(tmp_path, exclusive=False) as lease:
        _, value = score(
            task, lease, store, tmp_path, lambda done, total: told.append((done, total)), first=6
        )
    found = store.get_array(ArrayRef.model_validate(value["outputs"]["y"]))
    assert value["n"] == len(found) == 6 and told[-1] == (6, 6)
    np.testing.assert_allclose(found, direct(network(), x[:6]), rtol=1e-4, atol=1e-5)


def test_outputs_that_change_on_the_way_are_refused(tmp_path: Path) -> None:
    outputs = Outputs(["y"], 4, tmp_path)
    outputs.take(0, 2, {"y": np.ones((2, 3), np.float32)})
    with pytest.raises(ModelError, match=r"from float32\[3\] to float32\[2\] at sample 2"):
        outputs.take(2, 4, {"y": np.ones((2, 2), np.float32)})
    with pytest.raises(DeviceError, match=r"gave \(1, 3\) for 2 samples"):
        outputs.take(2, 4, {"y": np.ones((1, 3), np.float32)})
    with pytest.raises(DeviceError, match=r"gave outputs \['z'\], not \['y'\]"):
        outputs.take(2, 4, {"z": np.ones((2, 3), np.float32)})
    outputs.take(2, 4, {"y": np.zeros((2, 3), np.float32)})
    assert outputs.arrays["y"].tolist() == [[1.0] * 3] * 2 + [[0.0] * 3] * 2


def counting(sizes: tuple[Any, ...] = ("batch", 4)) -> onnx.ModelProto:
    """Each output is the batch that it ran in."""
    info, kind = helper.make_tensor_value_info, TensorProto.FLOAT
    held = [numpy_helper.from_array(np.array([0], np.int64), "first"),
            numpy_helper.from_array(np.array(0, np.float32), "zero")]  # fmt: skip
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "first"], ["n"]),
        helper.make_node("Cast", ["n"], ["f"], to=kind),
        helper.make_node("Mul", ["x", "zero"], ["z"]),
        helper.make_node("Add", ["z", "f"], ["y"]),
    ]
    ends = [info(name, kind, list(sizes)) for name in "xy"]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.extras
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(("asked", "sizes", "ran"), [
    ("", ("batch", 4), 1), ("?batch=4", ("batch", 4), 4), ("?batch=4", (None, 4), 4),
])  # fmt: skip
def test_samples_are_scored_in_the_batch_that_is_raced(
    ask: Ask, store: Store, runtime: str, asked: str, sizes: tuple[Any, ...], ran: int
) -> None:
    x = np.ones((6, 4), np.float32)
    value = ask("score", model=counting(sizes), x=x, target=f"local/{runtime}{asked}")
    found = store.get_array(ArrayRef.model_validate(value["outputs"]["y"]))
    np.testing.assert_array_equal(found, np.full((6, 4), ran, np.float32))
