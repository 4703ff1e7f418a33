"""What a run ends in: exit codes, what is written, and what may be asked for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from e2e_project import MODEL, ONNX, Project
from onnx_project import tiny_project

import edgeopt


@pytest.fixture
def project(onnx_project: Project) -> Project:
    """The project starting from ONNX."""
    return onnx_project


def optimized(project: Project, code: int, *args: str) -> dict[str, Any]:
    done = project.run("optimize", "recipe.yaml", "--quick", "--json", "--out", "out", *args)
    assert done.returncode == code, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result == json.loads((project.folder / "out" / "result.json").read_text())
    assert (project.folder / "out" / "report.html").stat().st_size > 10_000
    return result["targets"][0]


def test_the_chosen_file_is_what_the_result_says(project: Project) -> None:
    """Under settings of the runtime that the recipe pins, which whoever ships it is told of."""
    place = "local/onnxruntime?int8=allowed&opt=extended"
    project.write(f'{ONNX}targets: "{place}"\n')
    target = optimized(project, 0)
    assert {target["target"], *(c["target"] for c in target["candidates"])} == {place}
    page = (project.folder / "out" / "report.html").read_text()
    assert "session.qdqisint8allowed=1" in page and "ORT_ENABLE_EXTENDED" in page
    assert (
        target["verdict"] == "chosen"
        and "meets the constraints on the test split" in target["sentence"]
    )
    chosen = next(c for c in target["candidates"] if c["id"] == target["chosen"])
    assert "quantize-int8" in chosen["label"], "the objective is the size"
    path = project.folder / "out" / target["path"]
    onnx.checker.check_model(onnx.load(path))
    assert path.stat().st_size == chosen["measurements"]["size"]["value"]
    result = edgeopt.load(project.folder / "out")
    assert result.best(place).path == path
    with np.load(project.folder / "samples.npz") as archive:
        images, labels = archive["test.images"], archive["test.label"]
    x = ((images[:, np.newaxis].astype(np.float32) / 255) - np.float32(0.286)) / np.float32(0.353)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    right = (session.run(None, {"image": x})[0].argmax(1) == labels).mean()
    assert right == pytest.approx(target["test"]["measurements"]["accuracy"]["value"], abs=0.011)


def test_bounds_that_none_keeps_exit_3_and_save_the_nearest_miss(project: Project) -> None:
    target = optimized(project, 3, "--constraint", "size <= 1 kB")
    assert target["verdict"] == "unmet" and target["chosen"] is None
    assert target["nearest_miss"].endswith(")")
    assert target["path"].startswith("candidates/")
    assert (project.folder / "out" / target["path"]).is_file()
    assert not (project.folder / "out" / "best").exists()
    assert {c["status"] for c in target["candidates"]} == {"infeasible"}


def test_a_bound_inside_the_interval_exits_4(project: Project, onnx_before: Project) -> None:
    before = json.loads((onnx_before.folder / "out" / "result.json").read_text())
    value = before["targets"][0]["source"]["accuracy"]["value"]
    target = optimized(project, 4, "--constraint", f"accuracy >= {100 * value:.2f} %")
    assert target["verdict"] == "inconclusive"
    assert "accuracy" in target["sentence"]


def test_without_bench_all_candidates_are_built_and_nothing_is_measured(project: Project) -> None:
    done = project.run("optimize", "recipe.yaml", "--no-bench", "--json", "--out", "out")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert not [id for id in result["jobs"]["ran"] if id.startswith(("score:", "race:"))]
    files = sorted((project.folder / "out" / "candidates").rglob("*.onnx"))
    assert len(files) == len(result["targets"][0]["candidates"]) == 2
    for file in files:
        onnx.checker.check_model(onnx.load(file))


def test_a_bare_model_gets_what_is_worth_trying(tmp_path: Path) -> None:
    project = tiny_project(tmp_path)
    project.short = True
    with np.load(project.folder / "d.npz") as archive:
        arrays = {n.replace("samples", "x"): v for n, v in archive.items() if "samples" in n}
    np.savez(project.folder / "bare.npz", **arrays)
    done = project.run(
        "optimize", "m.onnx", "--data", "bare.npz", "--quick", "--json",
        "--constraint", "fidelity.cosine >= 0.5", "--objective", "size",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    labels = " ".join(c["label"] for c in result["targets"][0]["candidates"])
    assert "simplify-onnx" in labels and "quantize-int8" in labels and "fp16" in labels
    assert (project.folder / "edgeopt-out" / "m" / "result.json").is_file()


WHERE = ("--target", "local/onnxruntime")


def test_files_race_without_a_recipe(project: Project) -> None:
    shutil.copy(MODEL / "source.onnx", project.folder / "twin.onnx")
    done = project.run("benchmark", "source.onnx", "twin.onnx", "--json", *WHERE)
    assert done.returncode == 0, done.stderr
    (target,) = json.loads(done.stdout)["targets"]
    assert [file["path"] for file in target["files"]] == ["source.onnx", "twin.onnx"]
    for file in target["files"]:
        found = file["measurements"]
        low, value, high = (found["ratio.latency.p50"][key] for key in ("low", "value", "high"))
        assert low <= value <= high
        assert found["latency.p50"]["value"] <= found["latency.p99"]["value"]
        assert found["memory.peak"]["value"] > 0
        assert set(file["placement"]) == {"CPUExecutionProvider"}
    table = project.run("benchmark", "source.onnx", "--quiet", *WHERE)
    assert table.returncode == 0 and "source.onnx" in table.stdout


def test_errors_are_json_where_it_is_asked_for(project: Project) -> None:
    project.edit("recipe.yaml", "objective: size", "objective: beauty")
    done = project.run("optimize", "recipe.yaml", "--json", "--out", "out")
    assert done.returncode == 2
    told = json.loads(done.stdout)
    assert told["exit_code"] == 2 and told["error"]["where"].endswith("recipe.yaml:8")
    assert not (project.folder / "out").exists()


def test_a_folder_that_cannot_be_written_to_is_refused_before_any_work(project: Project) -> None:
    (project.folder / "taken").write_text("a file")
    done = project.run("optimize", "recipe.yaml", "--out", "taken/out")
    assert done.returncode == 1
    assert "taken" in done.stderr and "Building" not in done.stderr


def test_a_quantized_model_alone_is_measured_as_it_is(tmp_path: Path) -> None:
    """Of each form of codes: QDQ, integer operators with given ranges, and with their own."""
    weight = np.random.default_rng(0).integers(-127, 128, (6, 4), np.int8)
    forms = {
        "qdq": """f = DequantizeLinear(w, s)
            q = QuantizeLinear(x, s, z)
            d = DequantizeLinear(q, s, z)
            y = MatMul(d, f)""",
        "operators": """q = QuantizeLinear(x, s, z)
            p = QLinearMatMul(q, s, z, w, s, z, s, z)
            y = DequantizeLinear(p, s, z)""",
        "dynamic": """q, a, b = DynamicQuantizeLinear(x)
            i = MatMulInteger(q, w, b)
            f = Cast<to=1>(i)
            g = Mul(f, a)
            y = Mul(g, s)""",
    }
    x = np.random.default_rng(1).normal(size=(64, 6)).astype(np.float32)
    np.savez(tmp_path / "samples.npz", x=x)
    held = {"w": weight, "s": np.float32(0.02), "z": np.int8(0)}
    for name, nodes in forms.items():
        head = '<ir_version: 8, opset_import: ["" : 17]> g (float[batch,6] x) => (float[batch,4] y)'
        model = onnx.parser.parse_model(f"{head} {{ {nodes} }}")
        tensors = [onnx.numpy_helper.from_array(np.asarray(v), n) for n, v in held.items()]
        model.graph.initializer.extend(t for t in tensors if t.name in nodes.replace("=", " "))
        onnx.save(model, tmp_path / f"{name}.onnx")
        project = Project(tmp_path, tmp_path / "store", short=True)
        how, status = ("--quick", "chosen") if name == "dynamic" else ("--no-bench", "unmeasured")
        given = ("--data", "samples.npz", "--json", "--out", name)
        done = project.run("optimize", f"{name}.onnx", *given, how)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        (only,) = result["targets"][0]["candidates"]
        assert (only["status"], only["label"], only["reference"]) == (status, "source", True)
        assert "no pass applies to the source: it is measured as it is" in result["notes"]


def test_a_source_that_takes_one_sample_works_and_says_so(tmp_path: Path) -> None:
    head = '<ir_version: 8, opset_import: ["" : 17]> g (float[batch,4,4] x) => (float[batch,3] y)'
    model = onnx.parser.parse_model(f"{head} {{ f = Reshape(x, s)\n y = MatMul(f, w) }}")
    rng = np.random.default_rng(0)
    held = {"w": rng.normal(size=(16, 3)).astype(np.float32), "s": np.array([1, -1])}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(v, n) for n, v in held.items())
    onnx.save(model, tmp_path / "net.onnx")
    np.savez(tmp_path / "samples.npz", x=rng.normal(size=(64, 4, 4)).astype(np.float32))
    (tmp_path / "recipe.yaml").write_text(
        "model: net.onnx\ndata: {source: samples.npz, splits: {validation: samples}}\npasses: []\n"
    )
    target = Project(tmp_path, tmp_path / "store", short=True).optimize()
    assert "the source takes 1 sample at a time" in target["notes"]
    assert target["targets"][0]["verdict"] == "chosen"


def test_a_target_that_no_chain_ends_for_fails_and_the_others_are_built(tmp_path: Path) -> None:
    head = '<ir_version: 8, opset_import: ["" : 17]> g (float[batch,6] x) => (float[batch,6] y)'
    onnx.save(onnx.parser.parse_model(f"{head} {{ y = Tanh(x) }}"), tmp_path / "net.onnx")
    np.savez(tmp_path / "samples.npz", x=np.random.default_rng(0).normal(size=(32, 6)))
    (tmp_path / "recipe.yaml").write_text(
        "model: net.onnx\n"
        "data: {source: samples.npz, splits: {validation: samples}}\n"
        "targets: [local/torch, local/onnxruntime]\n"
        "passes: []\n"
    )
    project = Project(tmp_path, tmp_path / "store")
    done = project.run("optimize", "recipe.yaml", "--no-bench", "--json", "--out", "out")
    assert done.returncode == 5, done.stderr
    lost, made = json.loads(done.stdout)["targets"]
    assert (lost["verdict"], made["verdict"]) == ("failed", "built") and not lost["candidates"]
    assert lost["sentence"].startswith("no chain of the recipe ends in torch")
    planned = project.run("plan", "recipe.yaml")
    assert planned.returncode == 0 and "failed: local/torch" in planned.stdout
