"""The shipped network on a GPU: outputs against the CPU's, placement, time and memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from passes_bench import onnx_runner

from edgeopt.bench.accelerators import accelerators
from edgeopt.bench.peak import ON_ACCELERATOR, memory
from edgeopt.bench.race import SCHEDULES, race
from edgeopt.bench.score import score
from edgeopt.bench.task import Side, Task
from edgeopt.devices.local import LocalDevice
from edgeopt.formats import format_named
from edgeopt.passes.fp16_onnx import Fp16
from edgeopt.passes.quantize_int8_onnx import QuantizeInt8
from edgeopt.schema.artifact import Artifact
from edgeopt.schema.job import ArrayRef, Arrays
from edgeopt.schema.measurement import Measurement, figure
from edgeopt.schema.runtime import runtimes
from edgeopt.schema.target import parse_target
from edgeopt.store import Store

pytestmark = pytest.mark.gpu
MODEL = Path(__file__).parents[2] / "models" / "fashion_mnist"
TORCH = "local/torch:cuda"
ONNX = ("cuda", "tensorrt")
TOLERANCE = {"fp32": 1e-4, "tf32": 5e-3, "fp16": 1e-2, "bf16": 5e-2}  # of the largest output
FORMS: dict[str, dict[str, Any]] = {  # of INT8
    "s8s8": {"scheme": "s8s8"},
    "s8s8-symmetric": {"scheme": "s8s8-symmetric", "placement": "products"},
}
ALLOWED = {"float16": 1e-2, **dict.fromkeys(FORMS, 0.2)}  # of the largest output
SETTINGS = runtimes()["torch"].settings
GRID = list(itertools.product(SETTINGS["mode"].values, SETTINGS["precision"].values))
SAMPLES = {"image": {"shape": [1, 28, 28], "dtype": "float32", "layout": "NCHW"}}


class Lab:
    """The shipped network in two formats, samples, and this machine to measure them on."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder, self.device = store, folder, LocalDevice()
        with np.load(MODEL / "fashion_mnist.npz") as archive:
            images = archive["validation.images"][:128].astype(np.float32)
        images = ((images / 255 - 0.286) / 0.353)[:, np.newaxis].astype(np.float32)
        self.samples = Arrays(split="v", n=128, arrays={"image": store.put_array(images)})
        self.images = images
        self.artifacts = {"torch": self._torch(), "onnx": self._onnx()}

    def take(self, form: str) -> None:
        """Have ONNX targets run this form of the network from now on, made on the CPU."""
        if form == "float32":
            self.artifacts["onnx"] = self._onnx()
            return
        into = self.folder / f"onnx-{form}"
        into.mkdir(exist_ok=True)
        step = Fp16() if form == "float16" else QuantizeInt8(**FORMS[form])
        made = onnx_runner(into)(step, onnx.load(MODEL / "source.onnx"), image=self.images)
        self.artifacts["onnx"] = self.store.put_artifact(made.path.parent, "onnx")

    def task(self, **targets: str) -> Task:
        return Task({role: self._side(target) for role, target in targets.items()})

    def outputs(self, target: str) -> tuple[np.ndarray[Any, Any], dict[str, int]]:
        """Raw outputs of all samples, and the nodes by place."""
        with self.device.lease(self.folder, exclusive=False) as lease:
            task = self.task(model=target)
            _, value = score(task, lease, self.store, self.folder, lambda *_, **__: None)
        (ref,) = value["outputs"].values()
        return self.store.get_array(ArrayRef.model_validate(ref)), value["placement"]

    def raced(self, target: str, other: str, kind: str) -> dict[str, Any]:
        task = self.task(a=target, b=other)
        with self.device.lease(self.folder, exclusive=True) as lease:
            if kind == "memory":
                return memory(task, lease, self.store, lambda *_, **__: None)[1]
            return race(task, lease, self.store, SCHEDULES[kind], lambda *_, **__: None)[1]

    def _side(self, target: str) -> Side:
        asked = parse_target(target)
        return Side(asked, self.artifacts[asked.format], self.samples)

    def _torch(self) -> Artifact:
        spec = {"format": "torch", "factory": "net.py:resnet", "weights": "source.safetensors"}
        into = self.folder / "torch"
        into.mkdir()
        format_named("torch").gather(spec, MODEL, into, SAMPLES)
        return self.store.put_artifact(into, "torch")

    def _onnx(self) -> Artifact:
        into = self.folder / "onnx"
        into.mkdir(exist_ok=True)
        (into / "model.onnx").write_bytes((MODEL / "source.onnx").read_bytes())
        return self.store.put_artifact(into, "onnx")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("gpu")
    with Store(folder / "store") as store:
        yield Lab(store, folder)


@pytest.fixture(scope="module")
def expected(lab: Lab) -> np.ndarray[Any, Any]:
    """What the CPU answers in float32."""
    return lab.outputs("local/torch")[0]


def measured(
    lab: Lab, target: str, error: float, placed: dict[str, int], table: Any, form: str = ""
) -> None:
    """Race a target against eager fp32 on the GPU and weigh it; a row of the table."""
    raced, weighed = lab.raced(target, TORCH, "short"), lab.raced(target, TORCH, "memory")
    ratio = Measurement.model_validate(raced["ratio"]["latency.p50"])
    p50 = Measurement.model_validate(raced["a"]["latency.p50"])
    peak = Measurement.model_validate(weighed["a"]["memory.peak"])
    assert p50.value > 0 and ratio.value > 0 and peak.value > 0
    told = p50.machine.removeprefix(f"{target} ").split()
    by_torch = parse_target(target).runtime == "torch"
    assert (peak.protocol == ON_ACCELERATOR) is by_torch
    nodes = ", ".join(f"{n} on {place}" for place, n in placed.items())
    note = "GPU memory, CUDA events" if by_torch else "resident memory, the host's clock"
    row = f"{target} {form}".strip()
    table.put(row, told[0], figure(p50.value, p50.unit), figure(ratio.value, "x"),
              figure(peak.value, peak.unit), f"{error:.1e}", nodes, note)  # fmt: skip


@pytest.mark.parametrize(("mode", "precision"), GRID, ids=map("-".join, GRID))
def test_torch_on_the_gpu_answers_as_on_the_cpu(
    lab: Lab, expected: np.ndarray[Any, Any], table: Any, mode: str, precision: str
) -> None:
    target = str(parse_target(f"{TORCH}?mode={mode}&precision={precision}"))
    found, placed = lab.outputs(target)
    assert set(placed) == parse_target(target).nodes and sum(placed.values()) > 0
    error = float(np.abs(found - expected).max() / np.abs(expected).max())
    assert found.dtype == expected.dtype and error <= TOLERANCE[precision]
    measured(lab, target, error, placed, table)


@pytest.mark.parametrize("form", ["float32", "float16", *FORMS])
@pytest.mark.parametrize("accelerator", ONNX)
def test_onnx_runtime_on_the_gpu_answers_as_on_the_cpu(
    lab: Lab, expected: np.ndarray[Any, Any], table: Any, accelerator: str, form: str
) -> None:
    """Where this environment's ONNX Runtime has the provider; the table says where it has not."""
    target = f"local/onnxruntime:{accelerator}"
    found = accelerators(lab.device, "onnxruntime")
    if accelerator not in found:
        version = lab.device.facts(parse_target("local/onnxruntime")).runtime_version
        note = "this ONNX Runtime has no provider"
        table.put(f"{target} {form}", version, "-", "-", "-", "-", "-", note)
        return
    lab.take(form)
    outputs, placed = lab.outputs(target)
    assert set(placed) == {found[accelerator]}
    error = float(np.abs(outputs - expected).max() / np.abs(expected).max())
    assert error <= ALLOWED.get(form, TOLERANCE["fp32" if accelerator == "cuda" else "tf32"])
    measured(lab, target, error, placed, table, form)
