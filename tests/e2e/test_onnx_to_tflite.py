"""ONNX to TFLite through the real command: a tool environment, consent, what fails and what not."""

from __future__ import annotations

import json
import os
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from e2e_project import MODEL, Project, save_samples
from onnx_project import tiny_project

RECIPE = """\
model: source.onnx
data:
  source: samples.npz
  inputs: {image: images}
  label: label
  splits: {calibration: train, validation: validation, test: test}
  preprocess: [{scale: 255}, {normalize: {mean: 0.286, std: 0.353}}]
targets: ["local/*"]
constraints: ["accuracy >= source - 100pt"]
passes:
  - simplify-onnx
  - one_of: [none, export-tflite]
  - one_of: [none, {quantize-int8: {scheme: auto}}]
"""


@pytest.fixture
def onnx_project(tmp_path: Path) -> Project:
    place = tmp_path / "project"
    place.mkdir()
    save_samples(place / "samples.npz")
    (place / "source.onnx").write_bytes((MODEL / "source.onnx").read_bytes())
    made = Project(place, tmp_path / "store", short=True)
    made.write(RECIPE)
    return made


def without(tmp_path: Path, *, pythons: bool = True) -> dict[str, str]:
    """The environment of a machine on which nothing was made yet, or has no further Python."""
    here = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    if not pythons:
        here |= {"PYENV_ROOT": str(tmp_path / "none"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return here


@pytest.mark.extras
def test_without_consent_it_ends_before_anything_is_built(
    onnx_project: Project, tmp_path: Path
) -> None:
    onnx_project.extra = without(tmp_path)
    done = onnx_project.run("optimize", "recipe.yaml", "--json", "--out", "out")
    assert done.returncode == 2 and not (onnx_project.folder / "out").exists()
    error = json.loads(done.stdout)["error"]
    assert error["type"] == "ConsentError" and "onnx2tf" in error["what"]
    assert "edgeopt env make onnx2tf" in error["hint"] and "--yes" in error["hint"]
    assert "simplify-onnx (" not in done.stderr, "no pass ran"
    planned = onnx_project.run("plan", "recipe.yaml")
    assert planned.returncode == 0
    assert "a tool environment is missing: 'onnx2tf'" in planned.stdout.replace("\n", " ")


@pytest.mark.extras
def test_one_that_cannot_be_made_fails_its_candidates_and_no_others(
    onnx_project: Project, tmp_path: Path
) -> None:
    onnx_project.extra = without(tmp_path, pythons=False)
    (env,) = json.loads(onnx_project.run("env", "list", "--json").stdout)
    if env["interpreter"]:
        pytest.skip(f"Python {env['python']} is a part of this system: {env['interpreter']}")
    result = onnx_project.optimize("--yes")
    (target,) = result["targets"]
    lost = [c for c in target["candidates"] if "export-tflite" in c["label"]]
    assert target["verdict"] == "chosen" and lost
    assert {c["status"] for c in lost} == {"failed"}
    assert all("needs Python 3.12" in c["reason"] for c in lost)


def test_unknown_environments_and_those_not_made_are_told(tmp_path: Path) -> None:
    project = tiny_project(tmp_path)
    project.extra = without(tmp_path)
    assert project.run("env", "make", "onnx2ft").returncode == 2
    done = project.run("env", "remove", "onnx2tf", "--json")
    assert json.loads(done.stdout) == {"name": "onnx2tf", "removed": 0}
    (env,) = json.loads(project.run("env", "list", "--json").stdout)
    assert env["name"] == "onnx2tf" and not env["made"] and env["size_bytes"] == 0


@pytest.mark.long
def test_an_interrupt_leaves_no_environment_half_made(tmp_path: Path) -> None:
    project = tiny_project(tmp_path)
    project.extra = without(tmp_path)
    process = project.start("env", "make", "onnx2tf")
    assert process.stderr is not None and process.stderr.readline()
    time.sleep(2)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    made = tmp_path / "cache" / "edgeopt" / "environments"
    assert process.returncode == 130, err
    assert not [path for path in made.iterdir() if path.is_dir()] and not project.left_behind()


@pytest.mark.long
@pytest.mark.extras
def test_one_onnx_file_races_as_onnx_and_tflite_in_every_runtime(onnx_project: Project) -> None:
    result = onnx_project.optimize("--yes")
    (target,) = result["targets"]
    made = target["candidates"]
    assert target["verdict"] == "chosen"
    assert not [c for c in made if c["status"] == "failed"]
    runtimes = {c["target"].rpartition("/")[2] for c in made}
    assert runtimes == {"onnxruntime", "openvino", "litert"}
    int8 = {c["target"].rpartition("/")[2] for c in made if "int8" in c["description"]["facts"]}
    assert int8 == runtimes
    assert result["versions"]["onnx2tf"] == "2.6.9"
    (plain,) = [c for c in made if c["label"].endswith("export-tflite")]
    assert plain["description"]["signature"]["inputs"][0]["shape"] == [1, 1, 28, 28]
    again = onnx_project.run("optimize", "recipe.yaml", "--json", "--no-race", "--out", "out")
    jobs = json.loads(again.stdout)["jobs"]
    assert any("export-tflite" in job for job in jobs["cached"]), "no environment is asked for"


@pytest.mark.long
@pytest.mark.extras
def test_a_worker_that_dies_takes_its_candidates_along_and_no_others(
    onnx_project: Project,
) -> None:
    process = onnx_project.start("optimize", "recipe.yaml", "--yes", "--no-race", "--json")
    deadline = time.monotonic() + 200
    killed = False
    while process.poll() is None and not killed and time.monotonic() < deadline:
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                mine = child.cmdline()[-2:] == ["--offline", "onnx2tf"]
            except psutil.Error:
                continue
            if mine:
                time.sleep(0.3)
                os.kill(child.pid, signal.SIGKILL)
                killed = True
        time.sleep(0.02)
    out, err = process.communicate(timeout=300)
    assert killed, err
    (target,) = json.loads(out)["targets"]
    lost = [c for c in target["candidates"] if "export-tflite" in c["label"]]
    assert target["verdict"] == "chosen" and {c["status"] for c in lost} == {"failed"}
    assert "was killed by SIGKILL" in lost[0]["reason"]


# -- networks with traps


def exported(kind: str, path: Path) -> dict[str, np.ndarray]:
    """A network exported by torch; samples for it."""
    import torch
    from torch import nn

    class Map(nn.Module):
        """Two outputs, one of them a map with as many channels as it is high and wide."""

        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 8, 3, 2, 1)
            self.deep = nn.Conv2d(8, 8, 3, 1, 1, groups=8)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            y = torch.relu(self.first(x))
            return y + self.deep(y), y.mean((2, 3))

    class Steps(nn.Module):
        """Recurrent layers of both kinds, one in two directions."""

        def __init__(self) -> None:
            super().__init__()
            self.both = nn.GRU(4, 5, batch_first=True, bidirectional=True)
            self.last = nn.LSTM(10, 7, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.both(x)[0])[0][:, -1]

    class Words(nn.Module):
        """Whole numbers in, attention inside."""

        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(11, 16)
            self.encoder = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.encoder(self.table(x))[:, 0]

    makers: dict[str, Callable[[], Any]] = {"map": Map, "steps": Steps, "words": Words}
    torch.manual_seed(0)
    network = makers[kind]().eval()
    shape = {"map": (3, 16, 16), "steps": (9, 4), "words": (6,)}[kind]
    drawn = torch.randint(0, 11, (60, 6)) if kind == "words" else torch.randn(60, *shape)
    free = {"x": {0: torch.export.Dim("batch", min=1, max=64)}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (drawn[:2],), path, dynamo=True, dynamic_shapes=free,
                          input_names=["x"], external_data=False, verbose=False)  # fmt: skip
    return {"x": drawn.numpy()}


@pytest.mark.long
@pytest.mark.extras
@pytest.mark.parametrize("kind", ["map", "steps", "words"])
def test_names_shapes_and_answers_stay(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "project"
    place.mkdir()
    samples = exported(kind, place / "m.onnx")
    np.savez(place / "d.npz", **{f"validation.{name}": a for name, a in samples.items()})
    project = Project(place, tmp_path / "store", short=True)
    project.write(
        "model: m.onnx\ndata: {source: d.npz, splits: {validation: validation}}\n"
        "targets: [local/litert]\nobjective: size\nconstraints: [fidelity.cosine >= 0.9999]\n"
        "passes: [export-tflite]\n"
    )
    result = project.optimize("--yes")
    (target,) = result["targets"]
    (chosen,) = [c for c in target["candidates"] if c["status"] == "chosen"]
    before, after = result["source"]["description"]["signature"], chosen["description"]["signature"]
    for side in ("inputs", "outputs"):
        assert [t["name"] for t in before[side]] == [t["name"] for t in after[side]]
        shapes = [[1 if n == "batch" else n for n in t["shape"]] for t in before[side]]
        assert shapes == [t["shape"] for t in after[side]]
    (check,) = [step["check"] for step in chosen["chain"]]
    assert "promised: within" in check["sentence"]


@pytest.mark.long
@pytest.mark.extras
def test_what_was_quantized_comes_out_in_float_and_is_quantized_again(
    onnx_project: Project,
) -> None:
    """The ReLUs that ONNX Runtime's quantizer drops for a grid from 0 are back."""
    quantize = "  - quantize-int8: {scheme: u8s8}\n  - export-tflite\n"
    onnx_project.write(RECIPE.split("passes:")[0].replace("local/*", "local/litert") + (
        f"passes:\n{quantize}  - one_of: [none, {{quantize-int8: {{scheme: static}}}}]\n"
    ))  # fmt: skip
    result = onnx_project.optimize("--yes")
    (target,) = result["targets"]
    made = target["candidates"]
    (plain,) = [c for c in made if "u8s8" in c["label"] and "static" not in c["label"]]
    assert set(plain["description"]["facts"]) == {"float32", "static-batch"}
    assert plain["measurements"]["fidelity.cosine"]["value"] > 0.99
    (int8,) = [c for c in made if c["label"].endswith("static)")]
    assert "int8" in int8["description"]["facts"] and int8["status"] != "failed"


@pytest.mark.long
@pytest.mark.extras
def test_what_onnx2tf_refuses_is_told_with_node_and_reason(tmp_path: Path) -> None:
    """A recurrent layer whose values are clipped has no twin in TFLite."""
    from onnx import TensorProto, helper, numpy_helper, save

    project = tiny_project(tmp_path)
    rng = np.random.default_rng(0)
    shapes = {"w": (1, 15, 4), "r": (1, 15, 5), "b": (1, 30)}
    held = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    held["first"] = np.array([0], np.int64)
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
            helper.make_node("GRU", ["steps", "w", "r", "b"], ["", "last"], name="clipped",
                             hidden_size=5, linear_before_reset=1, clip=0.5),
            helper.make_node("Squeeze", ["last", "first"], ["y"]),
        ],
        "net",
        [info("x", TensorProto.FLOAT, ["batch", 9, 4])],
        [info("y", TensorProto.FLOAT, ["batch", 5])],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(model, project.folder / "m.onnx")
    drawn = rng.normal(size=(40, 9, 4)).astype(np.float32)
    np.savez(project.folder / "d.npz", **{"validation.x": drawn})
    project.write(
        "model: m.onnx\ndata: {source: d.npz, splits: {validation: validation}}\n"
        "targets: [local/onnxruntime, local/litert]\nobjective: size\n"
        "passes: [{one_of: [none, export-tflite]}]\n"
    )
    done = project.run("optimize", "recipe.yaml", "--yes", "--no-race", "--json")
    assert done.returncode == 5, done.stderr
    assert "onnx2tf refuses node 'clipped' (GRU): GRU clip is not supported" in done.stdout
    assert "unsupported_attribute_value" in done.stdout
