"""A job as one file: exported, run by hand where nothing of edgeopt is, and taken back."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from e2e_project import MODEL, Project
from onnx import TensorProto, helper, numpy_helper

from edgeopt.api import import_job
from edgeopt.schema.errors import DataError, DeviceError, UsageError

TARGET = ("--target", "offline:camera/onnxruntime")


@pytest.fixture
def project(cold_project: Project) -> Project:
    project = cold_project
    project.short = True
    for name in ("first.onnx", "second.onnx"):
        shutil.copy(MODEL / "source.onnx", project.folder / name)
    return project


def on_the_board(project: Project, job: Path) -> subprocess.CompletedProcess[str]:
    """Run a job by hand, in an empty folder, without edgeopt on any path."""
    board = project.folder / "board"
    board.mkdir(exist_ok=True)
    shutil.copy(job, board / "job.pyz")
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "EDGEOPT_STORE")}
    env["TMPDIR"] = str(board)
    command = [sys.executable, "-P", "job.pyz"]
    done = subprocess.run(command, cwd=board, env=env, capture_output=True, text=True)
    assert [path.name for path in board.iterdir()] == ["job.pyz"], "nothing is left there"
    return done


def changed(result: dict[str, Any], *place: Any, to: Any) -> dict[str, Any]:
    copy: Any = json.loads(json.dumps(result))
    at = copy
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = to(at[place[-1]]) if callable(to) else to
    return copy  # type: ignore[no-any-return]


def test_a_job_goes_there_and_back(project: Project) -> None:
    job = project.folder / "job.pyz"
    words = ("first.onnx", "second.onnx", *TARGET, "--processes", "3", "--out", "job.pyz")
    done = project.run("job", "export", *words)
    assert done.returncode == 0, done.stderr
    ran = on_the_board(project, job)
    assert ran.returncode == 0, ran.stderr
    assert "second.onnx: race, process 3" in ran.stderr
    file = project.folder / "result.json"
    file.write_text(ran.stdout)
    back = project.run("job", "import", "result.json", "--json")
    assert back.returncode == 0, back.stderr
    (target,) = json.loads(back.stdout)["targets"]
    assert target["target"] == "offline:camera/onnxruntime"
    first, second = target["files"]
    assert set(first["placement"]) == {"CPUExecutionProvider"}
    found = second["measurements"]
    assert found["fidelity.cosine"]["value"] == pytest.approx(1)
    ratio = found["ratio.latency.p50"]
    assert ratio["low"] <= ratio["value"] <= ratio["high"] and ratio["n"] == 3
    assert found["latency.p50"]["machine"].startswith("offline:camera/onnxruntime")
    shown = project.run("job", "import", "result.json")
    assert shown.returncode == 0 and "offline:camera/onnxruntime" in shown.stdout
    result = json.loads(ran.stdout)
    fixed = {
        tuple(sizes[:1]) for model in result["job"]["models"] for sizes in model["fixed"].values()
    }
    assert fixed == {(1,)}, "sessions are made for the target's batch there too"
    spoilt = {
        "digest": changed(result, "job", "models", 1, "files", "model.onnx", to="0" * 64),
        "shape": changed(result, "scores", 1, "outputs", 0, "shape", to=[16, 9]),
        "bytes": changed(result, "scores", 1, "outputs", 0, "data", to=lambda d: d[:-8]),
        "time": changed(result, "races", 1, 0, "turns", "a", 0, 0, to=-5),
        "sides": changed(result, "races", 1, 0, "turns", to=lambda t: {"a": t["a"]}),
        "process": changed(result, "races", 1, to=lambda runs: runs[:2]),
        "placement": changed(result, "scores", 0, "nodes", to={"GPU": 3}),
        "no placement": changed(result, "races", 1, 0, "nodes", to={}),
        "no node": changed(result, "races", 1, 0, "nodes", "a", to={"CPUExecutionProvider": 0}),
        "empty": changed(
            result, "scores", 0, "outputs", 0, to=lambda o: {**o, "shape": [16, 0], "data": ""}
        ),
        "one turn": changed(result, "races", 1, 0, "turns", "a", to=[[1]]),
        "dtype": changed(result, "scores", 0, "outputs", 0, "dtype", to="int32"),
        "protocol": changed(result, "hello", "protocol", to=99),
        "no runtime": changed(result, "hello", "runtimes", to={}),
        "stranger": changed(result, "surprise", to=1),
    }
    for name, document in spoilt.items():
        file.write_text(json.dumps(document))
        with pytest.raises((DataError, UsageError, DeviceError)) as caught:
            import_job(file, store=project.store)
        assert caught.value.what and caught.value.where, name


def test_a_corrupt_job_says_so_on_the_board(project: Project) -> None:
    done = project.run("job", "export", "first.onnx", *TARGET, "--out", "job.pyz")
    assert done.returncode == 0, done.stderr
    spoilt = project.folder / "spoilt.pyz"
    with zipfile.ZipFile(project.folder / "job.pyz") as old, zipfile.ZipFile(spoilt, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data[:-1] + b"!" if name.startswith("blobs/") else data)
    ran = on_the_board(project, spoilt)
    assert ran.returncode == 1 and "copy the archive again" in ran.stderr


def test_what_cannot_be_exported_is_refused(project: Project) -> None:
    for words in (("first.onnx", "--target", "offline:a/litert"), ("no.onnx", *TARGET),
                  ("first.onnx", "--target", "offline:a/*")):  # fmt: skip
        done = project.run("job", "export", *words, "--out", "job.pyz")
        assert done.returncode in (1, 2), words
        assert "edgeopt: error:" in done.stderr and "defect" not in done.stderr
    assert not (project.folder / "job.pyz").exists()


@pytest.mark.long
def test_the_chosen_of_a_result_races_its_reference(project: Project) -> None:
    project.edit("recipe.yaml", "  - export-onnx: {}\n", "")
    project.edit("recipe.yaml", '  factory: "net.py:resnet"\n  weights: source.safetensors\n',
                 "  path: first.onnx\n")  # fmt: skip
    project.edit("recipe.yaml", "format: torch", "format: onnx")
    project.optimize()
    done = project.run("job", "export", "out", *TARGET, "--processes", "3", "--out", "job.pyz")
    assert done.returncode == 0, done.stderr
    ran = on_the_board(project, project.folder / "job.pyz")
    assert ran.returncode == 0, ran.stderr
    (project.folder / "result.json").write_text(ran.stdout)
    back = project.run("job", "import", "result.json", "--json")
    assert back.returncode == 0, back.stderr
    files = json.loads(back.stdout)["targets"][0]["files"]
    assert [f["path"] for f in files] == ["reference.onnx", "chosen.onnx"]
    assert 0.9 < files[1]["measurements"]["fidelity.cosine"]["value"] <= 1.001


def test_outputs_come_back_with_their_samples_first_wherever_they_are(project: Project) -> None:
    """States of (time, batch, 4), and a gain that is one for the whole batch."""

    def value(name: str, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))

    rng = np.random.default_rng(0)
    held = {"w": rng.normal(size=(1, 4, 3)), "r": rng.normal(size=(1, 4, 4)), "g": np.ones(2)}
    tensors = [numpy_helper.from_array(a.astype(np.float32), name) for name, a in held.items()]
    tensors.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    nodes = [
        helper.make_node("RNN", ["x", "w", "r"], ["all"], hidden_size=4),
        helper.make_node("Squeeze", ["all", "one"], ["states"]),
        helper.make_node("Identity", ["g"], ["gain"]),
    ]
    outputs = [value("states", 5, "batch", 4), value("gain", 2)]
    graph = helper.make_graph(nodes, "g", [value("x", 5, "batch", 3)], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, project.folder / "rnn.onnx")
    x = rng.normal(size=(12, 5, 3)).astype(np.float32)
    np.savez(project.folder / "clips.npz", x=x)
    words = ("rnn.onnx", *TARGET, "--data", "clips.npz", "--processes", "3", "--out", "job.pyz")
    done = project.run("job", "export", *words)
    assert done.returncode == 0, done.stderr
    ran = on_the_board(project, project.folder / "job.pyz")
    assert ran.returncode == 0, ran.stderr
    (score,) = json.loads(ran.stdout)["scores"]
    states, gain = (
        np.frombuffer(base64.b64decode(each["data"]), np.float32).reshape(each["shape"])
        for each in score["outputs"]
    )
    session = onnxruntime.InferenceSession(str(project.folder / "rnn.onnx"))
    (right,) = session.run(["states"], {"x": np.ascontiguousarray(x.transpose(1, 0, 2))})
    np.testing.assert_allclose(states, right.transpose(1, 0, 2), rtol=1e-5, atol=1e-6)
    assert gain.shape == (12, 2)
    (project.folder / "result.json").write_text(ran.stdout)
    back = project.run("job", "import", "result.json", "--json")
    assert back.returncode == 0, back.stderr
