"""Where nodes ran is proven by the runtime; a silent fallback is an error, unless allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import psutil
import pytest
from passes_bench import network, samples

from edgeopt.bench.accelerators import accelerators
from edgeopt.bench.agent_session import (
    FreshAgents,
    Opened,
    TensorSpec,
    agent_session,
    check_inputs,
)
from edgeopt.bench.peak import memory
from edgeopt.bench.race import SCHEDULES, race
from edgeopt.bench.score import score
from edgeopt.bench.task import Task
from edgeopt.devices.local import LocalDevice
from edgeopt.schema.errors import DeviceError, ModelError, PlacementError
from edgeopt.schema.job import ArrayRef, Arrays
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.target import parse_target
from edgeopt.store import Store
from edgeopt.transport.lease import LocalLease

Ask = Callable[..., dict[str, Any]]

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


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (samples(4).astype(np.float64), "input 'x' takes float32"),
        (samples(4)[:, :4], "input 'x' takes float32"),
    ],
)
def test_samples_that_do_not_fit_are_refused(ask: Ask, x: np.ndarray, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        ask("score", model=network(), x=x)


def opened(*shapes: list[int | str], dtype: str = "float32") -> Opened:
    inputs = [TensorSpec(name=f"x{i}", dtype=dtype, shape=shape) for i, shape in enumerate(shapes)]
    return Opened(load_ns=1, inputs=inputs, outputs=["y"])


def fed(*shapes: tuple[int, ...]) -> Arrays:
    refs = {f"x{i}": ArrayRef(blob="0" * 64, dtype="float32", shape=shape)
            for i, shape in enumerate(shapes)}  # fmt: skip
    return Arrays(split="v", n=8, arrays=refs)


def test_inputs_fit_where_every_fixed_size_is_the_samples() -> None:
    check_inputs(opened(["batch", 3, "h"], [4, 2]), fed((8, 3, 7), (8, 2)))  # the batch is free
    for wrong in ((8, 4, 7), (8, 3), (8, 3, 7, 1)):
        with pytest.raises(ModelError, match=r"input 'x0' takes float32\['batch', 3, 'h'\]"):
            check_inputs(opened(["batch", 3, "h"]), fed(wrong))
    with pytest.raises(ModelError, match=r"takes int8\[2\]; the samples are float32\[8\]"):
        check_inputs(opened([2], dtype="int8"), fed((8,)))
    with pytest.raises(ModelError, match="the model takes x0, x1; the samples have x0"):
        check_inputs(opened([1], [1]), fed((8,)))


def test_a_batch_is_fixed_where_any_input_says_so() -> None:
    assert opened(["batch", 3], [4, 2]).batch == 4
    assert opened(["batch", 3], []).batch is None


def test_an_agent_times_each_turn_and_names_what_it_cannot_open(
    task_of: MakeTask, store: Store, tmp_path: Path
) -> None:
    onnx.save(network(), tmp_path / "m.onnx")
    task = task_of({"a": "local/onnxruntime?batch=2"}, tmp_path / "m.onnx", "x", samples(5))
    digest = task.sides["a"].artifact.digest
    with LocalDevice().lease(tmp_path, exclusive=False) as lease:
        task.put(lease, store)
        with agent_session(lease, task) as agent:
            agent.feed(take=4, batch=2)
            assert agent.open("a").inputs[0].shape[1:] == [8, 12, 12]
            taken = agent.time([("a", 3), ("a", 2)], timeout_s=60)
            assert [len(ns) for ns in taken] == [3, 2] and min(map(min, taken)) > 0
            first, rest = agent.run("a", 0, 2, 2, pad=False), agent.run("a", 2, 5, 2, pad=True)
            assert (len(first["y"]), len(rest["y"])) == (2, 3), "what was padded is cut off"
            assert agent.machine("a").startswith("local/onnxruntime?batch=2 ")
            agent.close("a")
            with pytest.raises(DeviceError, match="no such session is open"):
                agent.run("a", 0, 2, 2, pad=False)
        odd = Task({"a": replace(task.sides["a"], samples=fed((5, 8, 12, 12)))})
        with (
            agent_session(lease, odd) as agent,
            pytest.raises(ModelError, match="the samples have x0") as caught,
        ):
            agent.open("a")
    assert caught.value.where == f"a ({digest[:12]})"


@pytest.mark.parametrize(("threads", "contended"), [(1, False), (4096, True)])
def test_threads_on_every_core_are_told(
    task_of: MakeTask, odd_model: Path, tmp_path: Path, threads: int, contended: bool
) -> None:
    target = f"local/onnxruntime?threads={threads}"
    task = task_of({"a": target}, odd_model, "x", np.zeros((1, 16), np.float32))
    with LocalDevice().lease(tmp_path, exclusive=False) as lease, agent_session(lease, task) as it:
        assert it.contended is (contended or it.hello.machine.cores == 1)


def agents_of(folder: Path) -> list[psutil.Process]:
    """Agents that work in a folder."""
    return [
        each
        for each in psutil.Process().children()
        if each.status() != psutil.STATUS_ZOMBIE and str(folder) in each.cmdline()
    ]


@pytest.mark.parametrize(("at_once", "wanted", "started"), [(3, 2, 2), (1, 5, 1), (3, 0, 1)])
def test_agents_that_get_ready_together_are_processes_of_their_own_and_all_end(
    at_once: int, wanted: int, started: int, task_of: MakeTask, store: Store, tmp_path: Path
) -> None:
    """Guards against two measurements in one process, and a process that stays behind."""
    task = task_of({"model": "local/onnxruntime"}, MODEL, "image", images(2))
    lease = LocalLease("local", tmp_path, None)
    lease.at_once = at_once
    task.put(lease, store)
    with FreshAgents(lease, task) as agents:
        with agents.one(wanted) as agent:
            assert len(agents_of(tmp_path)) == started
            agent.feed(take=2, batch=1)
            agent.open("model")
        assert len(agents_of(tmp_path)) == started - 1, "each ends with its own turn"
        with agents.one(1) as second:
            assert second is not agent
    assert not agents_of(tmp_path)


def test_agents_that_cannot_get_ready_leave_none_behind(
    task_of: MakeTask, store: Store, tmp_path: Path
) -> None:
    task = task_of({"model": "local/onnxruntime"}, MODEL, "image", images(2))
    side = replace(task.sides["model"], target=parse_target("local/torch"))
    lease = LocalLease("local", tmp_path, None, Path("/usr/bin/false"))
    with (
        pytest.raises(DeviceError),
        FreshAgents(lease, replace(task, sides={"model": side})) as agents,
        agents.one(2),
    ):
        raise AssertionError("no agent is ready")
    assert not agents_of(tmp_path)
