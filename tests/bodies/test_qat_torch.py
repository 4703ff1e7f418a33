"""Training with quantization on shipped networks and real samples, as the worker runs it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from qat_parts import run_onnx, samples_of, source_of

import edgeopt.passes
from edgeopt.agent.errors import AgentError
from edgeopt.agent.sessions.torch import Session
from edgeopt.formats import format_named
from edgeopt.passes.distill_torch import Distill
from edgeopt.passes.export_onnx_torch import ExportOnnx
from edgeopt.passes.export_tflite_torch import ExportTflite
from edgeopt.passes.prune_structured_torch import PruneStructured
from edgeopt.passes.qat_torch import Qat
from edgeopt.passes.quantize_int8_onnx import QuantizeInt8
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import ModelError, PassError
from edgeopt.schema.target import TargetFacts

pytestmark = pytest.mark.extras
TORCH = format_named("torch")
FEW = {"batch": 32, "lr": 0.005}
Split = tuple[np.ndarray, np.ndarray]


@dataclass
class Context:
    """What a worker gives to a pass that trains."""

    parent: Path
    description: Description
    workdir: Path
    splits: dict[str, Split]
    seed: int = 0
    threads: int = 1
    told: list[dict[str, float]] = field(default_factory=list)

    @property
    def checkpoints(self) -> Path:
        folder = self.workdir / "checkpoints"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def axes(self) -> dict[str, int | None]:
        return {}

    def data(self, split: str) -> dict[str, np.ndarray]:
        return {self.description.signature.inputs[0].name: self.splits[split][0]}

    def labels(self, split: str) -> np.ndarray:
        return self.splits[split][1]

    def labelled(self, split: str) -> dict[str, np.ndarray]:
        return {self.description.signature.outputs[0].name: self.labels(split)}

    def teacher(self) -> Any:
        return TORCH.load(self.parent)

    def progress(self, done: float, total: float | None = None, **figures: float) -> None:
        self.told.append(figures)


@pytest.fixture(scope="module")
def imu() -> dict[str, Split]:
    return {s: samples_of("imu", s, 640) for s in ("train", "validation")}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return source_of("imu", tmp_path_factory.mktemp("imu") / "source")


def trained(step: Qat, source: Path, splits: dict[str, Split], folder: Path) -> Path:
    """The artifact's folder that the pass makes, checked as a worker checks it."""
    (folder / "rough").mkdir(parents=True)
    before = TORCH.describe(source)
    step.requires(before)
    made = step.run(TORCH.load(source), Context(source, before, folder / "rough", splits))
    TORCH.save(made, folder / "made")
    assert TORCH.describe(folder / "made").differs(step.effect(before)) == []
    return folder / "made"


@pytest.fixture(scope="module")
def uneven() -> torch.nn.Module:
    """The network with every eighth inner channel 60 times larger and weights after it smaller.

    It answers as before, but one range for all channels leaves the others a few codes.
    """
    with tempfile.TemporaryDirectory() as folder:
        module = TORCH.load(source_of("imu", Path(folder) / "source"))
    with torch.no_grad():
        for block in module.stages:
            block.bn1.weight[::8] *= 60
            block.bn1.bias[::8] *= 60
            block.conv2.weight[:, ::8] /= 60
    return module


@pytest.mark.parametrize("ranges", ["moving-average", "learned"])
def test_training_makes_good_what_quantization_lost(
    ranges: str, uneven: torch.nn.Module, imu: dict[str, Split]
) -> None:
    """Against the same network that saw as much and has not trained (a rate of 1e-9)."""
    samples, labels = imu["validation"]
    signal = torch.from_numpy(samples)
    figures = []
    said = {"batch": 32, "observe": 160, "soft": 1.0, "scheme": "u8s8-reduced"}
    for lr in (1e-2, 1e-9):
        made = Qat(steps=30, lr=lr, ranges=ranges, **said)(uneven, imu)
        with torch.inference_mode():
            answers, exact = made(signal=signal), uneven(signal=signal)
        apart = float((answers - exact).square().mean())
        figures.append((apart, float(np.mean(answers.argmax(1).numpy() == labels))))
    (apart, right), (apart_still, right_still) = figures
    assert apart < 0.85 * apart_still
    assert right >= right_still - 0.01


@pytest.mark.long
def test_what_was_trained_loads_exports_and_refuses_more(
    source: Path, imu: dict[str, Split], tmp_path: Path
) -> None:
    made = trained(Qat(steps=2, scheme="u8s8-reduced", **FEW), source, imu, tmp_path / "qat")
    samples = imu["validation"][0][:200]
    answers = TORCH.runner(made)({"signal": samples})["output"]
    session = Session(str(made), "cpu", 1)
    told = session.arrays(session.call(session.prepare({"signal": samples})))
    assert np.array_equal(told[0], answers), "the agent builds it, too"
    description = TORCH.describe(made)
    assert description.facts == {"float32", "fake-quantized", "qat-u8s8-reduced"}
    onnx_format = format_named("onnx")
    export = ExportOnnx()
    export.requires(description)
    (tmp_path / "rough").mkdir()
    model = export.run(TORCH.load(made), Context(made, description, tmp_path / "rough", imu))
    onnx_format.save(model, tmp_path / "onnx")
    after = onnx_format.describe(tmp_path / "onnx")
    assert after.differs(export.effect(description)) == []
    ran, _ = run_onnx(next((tmp_path / "onnx").glob("*.onnx")), samples)
    assert np.abs(ran - answers).max() <= 2e-2 * np.abs(answers).max()
    assert export.promised(description).rtol == 2e-2
    for step, known in ((Qat(), description), (QuantizeInt8(), after), (Distill(), description)):
        with pytest.raises(PassError):
            step.requires(known)


@pytest.mark.long
def test_a_pruned_network_trains_with_quantization_and_is_pruned_no_more(
    source: Path, imu: dict[str, Split], tmp_path: Path
) -> None:
    splits = {**imu, "calibration": imu["train"]}
    step = PruneStructured(macs=0.5)
    (tmp_path / "rough").mkdir()
    context = Context(source, TORCH.describe(source), tmp_path / "rough", splits)
    TORCH.save(step.run(TORCH.load(source), context), tmp_path / "pruned")
    qat = Qat(steps=1, scheme="u8s8", **FEW)
    made = trained(qat, tmp_path / "pruned", splits, tmp_path / "qat")
    kinds = [record["edit"] for record in json.loads((made / "edits.json").read_text())]
    assert kinds == ["prune", "fake-quantize"]
    assert TORCH.inspect(made).macs == TORCH.inspect(tmp_path / "pruned").macs
    with pytest.raises(PassError, match="takes float32 modules"):
        step.requires(TORCH.describe(made))


def test_equal_seeds_give_equal_bits(source: Path, imu: dict[str, Split], tmp_path: Path) -> None:
    step = Qat(steps=3, scheme="u8s8", **FEW)
    folders = [trained(step, source, imu, tmp_path / name) for name in ("one", "two")]
    for name in ("weights.safetensors", "edits.json"):
        assert len({(folder / name).read_bytes() for folder in folders}) == 1


def test_by_hand_the_module_stays_and_its_twin_is_quantized(imu: dict[str, Split]) -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(768, 16), torch.nn.ReLU(), torch.nn.Linear(16, 7)
    )
    kept = {name: value.clone() for name, value in module.state_dict().items()}
    made = edgeopt.passes.Qat(steps=2, **FEW)(module, imu)
    assert all(torch.equal(kept[name], value) for name, value in module.state_dict().items())
    signal = torch.from_numpy(imu["validation"][0][:8])
    with torch.inference_mode():
        assert len(made(signal).unique()) <= 8 * 7 and not torch.equal(made(signal), module(signal))
    assert "1.weight_scale.value" in made.state_dict()


def test_the_scheme_follows_the_target() -> None:
    d = Description.model_validate(
        {"format": "torch", "signature": {"inputs": (), "outputs": ()}, "facts": {"float32"}}
    )

    def scheme(target: str, isa: str) -> list[str]:
        return [one.scheme for one in Qat().variants(d, TargetFacts(target=target, isa=isa))]

    assert scheme("local/litert", "x86_64-avx2") == ["int8"]
    assert scheme("local/onnxruntime", "x86_64-avx512_vnni") == ["u8s8"]
    assert scheme("local/onnxruntime", "x86_64-avx2") == ["u8s8-reduced"]
    assert scheme("ssh:board/onnxruntime", "aarch64-asimddp") == ["s8s8"]


def test_a_module_for_litert_is_not_exported_to_onnx() -> None:
    d = Description.model_validate({
        "format": "torch", "facts": {"float32", "fake-quantized", "qat-int8"},
        "signature": {"inputs": ({"name": "x", "dtype": "float32", "shape": ("batch", 4)},),
                      "outputs": ()},
    })  # fmt: skip
    with pytest.raises(PassError, match="LiteRT"):
        ExportOnnx().requires(d)
    ExportTflite().requires(d)
    assert ExportTflite().effect(d).facts == {"int8", "int8-activations", "static-batch"}


@pytest.mark.parametrize(
    "change, says",
    [
        ({"inputs": {"signal": 3}}, "has no shape and dtype"),
        ({"float": "stem.0"}, "'float' is not a list"),
        ({"inputs": {"signal": {"shape": ["batch", 7], "dtype": "float32"}}}, "cannot trace"),
    ],
)
def test_records_that_do_not_fit_are_refused(
    change: dict[str, Any], says: str, source: Path, imu: dict[str, Split], tmp_path: Path
) -> None:
    said = {"edit": "fake-quantize", "scheme": "u8s8", "float": [],
            "inputs": {"signal": {"shape": ["batch", 6, 128], "dtype": "float32"}}}  # fmt: skip
    TORCH.save(source, tmp_path / "made")
    (tmp_path / "made" / "edits.json").write_text(json.dumps([{**said, **change}]))
    with pytest.raises(ModelError, match=says):
        TORCH.load(tmp_path / "made")
    with pytest.raises(AgentError):
        Session(str(tmp_path / "made"), "cpu", 1)
