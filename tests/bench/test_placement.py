"""Where nodes ran is proven by the runtime; a silent fallback is an error, unless allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from edgeopt.bench.accelerators import accelerators, with_accelerator
from edgeopt.bench.peak import memory
from edgeopt.bench.race import SCHEDULES, race
from edgeopt.bench.score import score
from edgeopt.bench.task import Task
from edgeopt.devices.local import LocalDevice
from edgeopt.schema.errors import DeviceError, PlacementError
from edgeopt.schema.job import ArrayRef
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.target import parse_target
from edgeopt.store import Store

MODEL = Path(__file__).parents[2] / "models" / "fashion_mnist" / "source.onnx"
PROVIDER, CPU = "OpenVINOExecutionProvider", "CPUExecutionProvider"
MakeTask = Callable[..., Task]


def images(n: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=(n, 1, 28, 28)).astype(np.float32)


def scored(device: LocalDevice, task: Task, store: Store, folder: Path) -> dict[str, Any]:
    with device.lease(folder, exclusive=False) as lease:
        return score(task, lease, store, folder, lambda *_, **__: None)[1]


def raced(device: LocalDevice, task: Task, store: Store, folder: Path) -> dict[str, Any]:
    with device.lease(folder, exclusive=True) as lease:
        return race(task, lease, store, SCHEDULES["short"], lambda *_, **__: None)[1]


@pytest.mark.extras
def test_litert_counts_the_cpu_as_an_npu_and_edgeopt_does_not(
    task_of: MakeTask, store: Store, tflite_model: Path, tmp_path: Path
) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    targets = {"model": "local/litert:npu"}
    device = LocalDevice()
    with pytest.raises(
        PlacementError, match="nodes ran on other providers than requested: 1 on NPU or CPU"
    ) as no:
        scored(device, task_of(targets, tflite_model, "x", x), store, tmp_path)
    assert "--allow-fallback" in no.value.hint and "allow_fallback: true" in no.value.hint
    allowed = task_of(targets, tflite_model, "x", x, allow_fallback=True)
    value = scored(device, allowed, store, tmp_path)
    assert (value["placement"], value["marks"]) == ({"NPU or CPU": 1}, ["fallback"])
    found = store.get_array(ArrayRef.model_validate(value["outputs"]["y"]))
    np.testing.assert_allclose(found, x @ np.arange(12.0).reshape(3, 4).T, rtol=1e-5, atol=1e-5)


def test_an_accelerator_that_is_not_there_is_an_error_before_any_work() -> None:
    device = LocalDevice()
    for target, told in (
        ("local/onnxruntime:tensorrt", "finds no accelerator 'tensorrt'"),
        ("local/onnxruntime:openvino", "finds no accelerator 'openvino'"),
    ):
        asked = parse_target(target)
        facts = device.facts(asked)
        with pytest.raises(DeviceError, match=told) as caught:
            with_accelerator(device, asked, facts)
        assert "it finds: cpu" in caught.value.hint


@pytest.mark.extras
def test_what_is_found_enters_the_facts() -> None:
    device = LocalDevice()
    asked = parse_target("local/litert:gpu")
    assert with_accelerator(device, asked, device.facts(asked)).machine["accelerator"]
    plain = parse_target("local/litert")
    assert with_accelerator(device, plain, device.facts(plain)) == device.facts(plain)


@pytest.mark.long
def test_every_node_is_proven_on_openvino(
    task_of: MakeTask, store: Store, openvino_python: Path, tmp_path: Path
) -> None:
    device, x = LocalDevice(python=openvino_python), images(40)
    target = parse_target("local/onnxruntime:openvino")
    assert device.facts(target).runtime_version == "1.24.1"
    assert accelerators(device, "onnxruntime") == {"cpu": CPU, "openvino": PROVIDER}
    value = scored(device, task_of({"model": str(target)}, MODEL, "image", x), store, tmp_path)
    assert set(value["placement"]) == {PROVIDER} and value["marks"] == []
    found = store.get_array(ArrayRef.model_validate(value["outputs"][value["order"][0]]))
    expected = ort.InferenceSession(MODEL, providers=[CPU]).run(None, {"image": x})[0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    sides = {"a": str(target), "b": "local/onnxruntime"}
    both = raced(device, task_of(sides, MODEL, "image", x), store, tmp_path)
    assert {side: set(both["placement"][side]) for side in "ab"} == {"a": {PROVIDER}, "b": {CPU}}
    ratio = Measurement.model_validate(both["ratio"]["latency.p50"])
    assert ratio.value > 0 and "fallback" not in ratio.marks
    assert ratio.machine.startswith("local/onnxruntime:openvino 1.24.1 ")


@pytest.mark.long
def test_a_silent_fallback_is_named_with_its_nodes_or_marked(
    task_of: MakeTask, store: Store, openvino_python: Path, odd_model: Path, tmp_path: Path
) -> None:
    device = LocalDevice(python=openvino_python)
    x = np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)
    target = "local/onnxruntime:openvino"
    task = task_of({"model": target}, odd_model, "x", x)
    with pytest.raises(PlacementError) as caught:
        scored(device, task, store, tmp_path)
    assert f"1 on {PROVIDER}" in caught.value.what and f"1 on {CPU}" in caught.value.what
    assert target in caught.value.where
    with pytest.raises(PlacementError, match=f"1 on {CPU}"):
        raced(device, task_of({"a": target, "b": target}, odd_model, "x", x), store, tmp_path)
    task = task_of({"a": target, "b": target}, odd_model, "x", x, allow_fallback=True)
    value = raced(device, task, store, tmp_path)
    assert value["placement"]["a"] == {PROVIDER: 1, CPU: 1}
    for side in ("ratio", "a", "b"):
        assert "fallback" in value[side]["latency.p50"]["marks"]
    with device.lease(tmp_path, exclusive=True) as lease:
        held = memory(task, lease, store, lambda *_, **__: None)[1]
    assert "fallback" in held["a"]["memory.peak"]["marks"]


@pytest.mark.long
def test_a_plug_in_without_a_device_says_so(
    task_of: MakeTask,
    store: Store,
    webgpu_plugin: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = task_of({"model": "local/onnxruntime:webgpu"}, MODEL, "image", images(4))
    with pytest.raises(DeviceError, match="no accelerator 'webgpu' here") as missing:
        scored(LocalDevice(), task, store, tmp_path)
    assert "onnxruntime-ep-webgpu brings it" in missing.value.hint
    monkeypatch.setenv("PYTHONPATH", str(webgpu_plugin))
    if "webgpu" in accelerators(LocalDevice(), "onnxruntime"):  # this host has a GPU for it
        value = scored(LocalDevice(), task, store, tmp_path)
        assert set(value["placement"]) == {"WebGpuExecutionProvider"}
        return
    with pytest.raises(DeviceError, match="onnxruntime_ep_webgpu offers no device here"):
        scored(LocalDevice(), task, store, tmp_path)
