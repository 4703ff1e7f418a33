"""Scores and races of models in memory; environments and models to measure accelerators with."""

from __future__ import annotations

import subprocess
import sys
import threading
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeopt.bench.jobs import run_bench
from edgeopt.bench.task import Side, Task
from edgeopt.schema.job import Arrays, Job, Outcome, Request
from edgeopt.schema.target import parse_target
from edgeopt.store import Store

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
CACHE = ROOT / ".cache" / "environments"
TARGET = "local/onnxruntime"
MakeTask = Callable[..., Task]
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def ask(store: Store, tmp_path: Path) -> Ask:
    """``ask(kind, role=model, ...)``: the value of a score or a race."""

    def put(model: onnx.ModelProto) -> Outcome:
        folder = store.root.parent / f"model-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        artifact = store.put_artifact(folder, "onnx")
        value = {"artifact": artifact.to_json()}
        return Outcome(job="m", status="ok", digest=artifact.digest, value=value)

    def asked(
        kind: str,
        *,
        x: np.ndarray,
        protocol: str = "short",
        target: str | dict[str, str] = TARGET,
        cancelled: threading.Event | None = None,
        params: dict[str, Any] | None = None,
        earlier: str = "",
        **models: onnx.ModelProto,
    ) -> dict[str, Any]:
        tensors = Arrays(split="v", n=len(x), arrays={"x": store.put_array(x)})
        inputs = {role: put(model) for role, model in models.items()}
        fed = Outcome(job="s", status="ok", digest=tensors.digest, value=tensors.to_json())
        inputs |= {f"samples:{role}": fed for role in models}
        targets = dict.fromkeys(models, target) if isinstance(target, str) else target
        if earlier:
            inputs["earlier"] = Outcome(job="e", status="ok", digest=earlier)
        params = {"targets": targets, **(params or {})}
        params |= {"protocol": protocol} if kind == "race" else {}
        job = Job(id=kind, kind=kind, name="bench", worker="bench", params=params)  # type: ignore[arg-type]
        with store.workdir() as workdir:
            request = Request(
                job=job, inputs=inputs, store=str(store.root), workdir=str(workdir), key="k"
            )
            return run_bench(request, lambda *_, **__: None, cancelled or threading.Event())[1]

    return asked


@pytest.fixture
def task_of(store: Store, tmp_path: Path) -> MakeTask:
    """``task_of(targets by role, file, samples, ...)``: what is measured, files in the store."""

    def made(
        targets: dict[str, str],
        file: Path,
        name: str,
        samples: np.ndarray[Any, Any],
        allow_fallback: bool = False,
    ) -> Task:
        folder = tmp_path / f"artifact-{file.suffix[1:]}"
        folder.mkdir(exist_ok=True)
        (folder / f"model{file.suffix}").write_bytes(file.read_bytes())
        artifact = store.put_artifact(folder, file.suffix[1:])
        arrays = Arrays(split="v", n=len(samples), arrays={name: store.put_array(samples)})
        sides = {
            role: Side(parse_target(target), artifact, arrays) for role, target in targets.items()
        }
        return Task(sides, allow_fallback)

    return made


@pytest.fixture(scope="session")
def openvino_python() -> Path:
    """The interpreter of an environment whose ONNX Runtime has OpenVINO's provider."""
    folder = CACHE / "onnxruntime-openvino"
    python = folder / "bin" / "python"
    if not _fresh(folder, "onnxruntime-openvino.txt"):
        venv.create(folder, clear=True, with_pip=True)
        _install([str(python)], folder, "onnxruntime-openvino.txt")
    return python


@pytest.fixture(scope="session")
def webgpu_plugin() -> Path:
    """A folder with ONNX Runtime's plug-in for WebGPU, to be found beside what is installed."""
    folder = CACHE / "onnxruntime-ep-webgpu"
    if not _fresh(folder, "onnxruntime-webgpu.txt"):
        folder.mkdir(parents=True, exist_ok=True)
        target = ["--target", str(folder), "--upgrade"]
        _install([sys.executable], folder, "onnxruntime-webgpu.txt", target)
    return folder


def _fresh(folder: Path, requirements: str) -> bool:
    stamp = folder / requirements
    wanted = (REQUIREMENTS / requirements).read_bytes()
    return stamp.exists() and stamp.read_bytes() == wanted


def _install(
    python: list[str], folder: Path, requirements: str, options: list[str] | None = None
) -> None:
    pip = [*python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    wanted = REQUIREMENTS / requirements
    done = subprocess.run(
        [*pip, "--no-deps", *(options or []), "-r", str(wanted)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (folder / requirements).write_bytes(wanted.read_bytes())


@pytest.fixture
def odd_model(tmp_path: Path) -> Path:
    """Two layers that every provider takes, and an operator that only the CPU's has."""
    weight = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Relu", ["m"], ["r"]),
        helper.make_node("Binarizer", ["r"], ["y"], domain="ai.onnx.ml", threshold=0.5),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", n])
        for name, n in (("x", 16), ("y", 8))
    ]
    graph = helper.make_graph(
        nodes, "odd", ends[:1], ends[1:], [numpy_helper.from_array(weight, "w")]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    path = tmp_path / "odd.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path
