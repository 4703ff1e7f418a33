"""Runtimes and formats of other distributions: found, used by the real command, told when wrong."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from e2e_project import SHORT
from onnx import TensorProto, helper, numpy_helper
from plugging import LINEAR, REFERENCE, forget, install, ran, write_metadata

from edgeopt.agent import protocol
from edgeopt.agent.serve import Agent
from edgeopt.bench.agent_session import Opened, RuntimeReply
from edgeopt.formats import format_named, format_of
from edgeopt.recipe import make_recipe
from edgeopt.schema.errors import PlanError, PluginError, RecipeError, UsageError
from edgeopt.schema.model_format import model_format, scored_by, worker_for
from edgeopt.schema.runtime import brought_by, every_runtime, runtimes
from edgeopt.schema.target import parse_target
from edgeopt.store import Store
from edgeopt.transport.channel import Channel, Hello
from edgeopt.transport.pack import agent_archive

WEIGHTS = np.random.default_rng(0).standard_normal((16, 3)).astype(np.float32)
REFERENCE_TARGET = "local/onnx-reference?shapes=checked"


def samples(path: Path) -> None:
    """Samples whose labels are what the network answers, and no sample twice."""
    x = np.random.default_rng(1).standard_normal((96, 16)).astype(np.float32)
    labels = (x @ WEIGHTS).argmax(axis=1)
    parts = {"train": slice(0, 32), "validation": slice(32, 64), "test": slice(64, 96)}
    arrays = {f"{split}.x": x[rows] for split, rows in parts.items()}
    np.savez(path, **arrays, **{f"{split}.label": labels[rows] for split, rows in parts.items()})


def project(folder: Path, model: str, target: str, passes: list[Any]) -> None:
    samples(folder / "samples.npz")
    splits = {"calibration": "train", "validation": "validation", "test": "test"}
    recipe = {
        "model": model,
        "data": {"source": "samples.npz", "label": "label", "splits": splits},
        "targets": [target],
        "objective": "latency.p50",
        "constraints": ["accuracy >= source - 20pt"],
        "passes": passes,
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe))


def run(folder: Path, site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The real command, which finds what is installed in ``site``."""
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "PYTHONPATH": path, "EDGEOPT_STORE": str(folder / "store")}
    command = [*SHORT, *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def optimized(folder: Path, site: Path) -> dict[str, Any]:
    done = run(folder, site, "optimize", "recipe.yaml", "--quick", "--json", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "KeyError" not in done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def save_onnx(path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["logits"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(WEIGHTS, "w")],
    )
    opset = [helper.make_opsetid("", 21)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)


def save_linear(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, weights=WEIGHTS, bias=np.zeros(3, np.float32))


def test_a_runtime_of_another_distribution_scores_and_races(tmp_path: Path) -> None:
    site = install(tmp_path / "site", "plugged-reference", REFERENCE)
    save_onnx(tmp_path / "tiny.onnx")
    quantized = {"quantize-int8": {"scheme": "u8s8"}}
    project(tmp_path, "tiny.onnx", "local/onnx-reference", [{"one_of": ["none", quantized]}])
    result = optimized(tmp_path, site)
    (target,) = result["targets"]
    assert target["target"] == "local/onnx-reference" and target["chosen"]
    assert target["machine"]["runtimes"] == {"onnx-reference": onnx.__version__}
    plain, narrow = sorted(target["candidates"], key=lambda each: len(each["chain"]))
    for candidate in (plain, narrow):
        assert set(candidate["placement"]) == {"ReferenceEvaluator"}
        assert candidate["measurements"]["accuracy"]["value"] > 0.8
    assert plain["measurements"]["accuracy"]["value"] == 1.0
    told = "onnx-reference does not report what it executes"
    assert narrow["conversion"]["by"] == "the file" and told in narrow["conversion"]["note"]
    raced = run(tmp_path, site, "benchmark", "tiny.onnx", "--target", REFERENCE_TARGET, "--json")
    (file,) = json.loads(raced.stdout)["targets"][0]["files"]
    assert file["target"] == REFERENCE_TARGET and file["measurements"]["latency.p50"]["value"] > 0


def test_a_format_of_another_distribution_is_opened_scored_and_inspected(tmp_path: Path) -> None:
    site = install(tmp_path / "site", "plugged-linear", LINEAR)
    save_linear(tmp_path / "net.linear")
    project(tmp_path, "net.linear", "local/linear", [])
    (target,) = optimized(tmp_path, site)["targets"]
    (only,) = target["candidates"]
    assert only["measurements"]["accuracy"]["value"] == 1.0
    assert only["path"].endswith("model.linear")
    shown = run(tmp_path, site, "inspect", "net.linear", "--json")
    assert json.loads(shown.stdout)["parameters"] == WEIGHTS.size + 3
    project(tmp_path, "net.linear", "local/onnxruntime", [])
    wrong = run(tmp_path, site, "plan", "recipe.yaml")
    assert wrong.returncode == 2 and "no chain of the recipe ends in onnx" in wrong.stderr


def test_the_commands_name_what_is_plugged_in(tmp_path: Path) -> None:
    site = install(tmp_path / "site", "plugged-reference", REFERENCE)
    found = json.loads(run(tmp_path, site, "doctor", "--json").stdout)
    there = found["targets"]["local/onnx-reference"]
    assert there["reachable"] and there["accelerators"] == {"cpu": "ReferenceEvaluator"}
    save_onnx(tmp_path / "tiny.onnx")
    told = run(tmp_path, site, "benchmark", "tiny.onnx", "--target", "local/onnx-referenc")
    assert told.returncode == 2 and "Did you mean 'onnx-reference'?" in told.stderr


def test_it_travels_in_the_agent_that_other_machines_get(site: Path, tmp_path: Path) -> None:
    install(site, "plugged-reference", REFERENCE)
    archive, work = tmp_path / "agent.pyz", tmp_path / "work"
    archive.write_bytes(agent_archive())
    work.mkdir()
    save_onnx(tmp_path / "tiny.onnx")
    with Store(tmp_path / "store") as store:
        digest = store.put_bytes((tmp_path / "tiny.onnx").read_bytes())
        (work / digest).write_bytes(store.get_bytes(digest))
    process = subprocess.Popen(
        [sys.executable, "-I", str(archive), str(work)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0,
        stderr=(tmp_path / "log").open("wb"), cwd=tmp_path,
    )  # fmt: skip
    with Channel(process, "packed", tmp_path / "log") as channel:
        hello, _ = channel.ask("hello", Hello)
        channel.ask("runtime", RuntimeReply, name="onnx-reference", threads=1)
        opened, _ = channel.ask(
            "open", Opened, session="a", files={"model.onnx": digest}, runtime="onnx-reference",
            accelerator="cpu", settings={"shapes": "checked"},
        )  # fmt: skip
    assert hello.runtimes["onnx-reference"] == onnx.__version__
    assert opened.outputs == ["logits"]


def test_its_facts_are_known_like_any_other(site: Path) -> None:
    install(site, "plugged-reference", REFERENCE)
    install(site, "plugged-linear", LINEAR)
    assert list(runtimes())[-2:] == ["onnx-reference", "linear"]
    assert every_runtime()[-1] == "linear" and "onnx-reference" not in every_runtime()
    target = parse_target(REFERENCE_TARGET)
    assert target.format == "onnx" and target.nodes == {"ReferenceEvaluator"}
    assert target.choices == {"shapes": "checked"} and str(target) == REFERENCE_TARGET
    for wrong, why in (
        ("?shapes=loose", "one of trusted, checked, not 'loose'"),
        (":cuda", "'onnx-reference' has no 'cuda'"),
        ("?mode=compiled", "'mode' is a setting of torch"),
    ):
        with pytest.raises(UsageError, match=why):
            parse_target(f"local/onnx-reference{wrong}")
    assert model_format("linear").uses == ("numpy", "plugged-linear")
    assert brought_by("onnx-reference") == "plugged-reference" and brought_by("torch") == ""
    assert scored_by("linear") == "linear" and format_named("linear").load
    assert worker_for(["linear", "onnx"]) == worker_for(["onnx", "linear"]) == "linear"
    with pytest.raises(PlanError, match="no worker can load both torch and linear"):
        worker_for(["torch", "linear"])
    save_linear(site / "net.linear")
    assert format_of(site / "net.linear") == "linear"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rank": None}, "'rank': Input should be a valid integer"),
        ({"rnak": 1}, "unknown key 'rnak'"),
        ({"every": "no"}, "'every': Input should be a valid boolean"),
        ({"accelerators": {"gpu": {"nodes": ["GPU"]}}}, "'accelerators': 'cpu' is missing"),
        (
            {"settings": {"threads": {"values": ["1"]}}},
            "'threads' is not a valid name for a setting",
        ),
    ],
    ids=lambda change: next(iter(change)) if isinstance(change, dict) else "",
)
def test_a_wrong_declaration_is_told_with_its_file_and_key(
    site: Path, change: dict[str, Any], told: str
) -> None:
    install(site, "plugged-reference", REFERENCE)
    file = site / "onnx_reference" / "runtime.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(UsageError) as caught:
        parse_target("local/onnxruntime")
    assert str(file) in caught.value.what and told in caught.value.what


def test_a_wrong_declaration_is_not_blamed_on_a_recipe(site: Path) -> None:
    install(site, "plugged-reference", REFERENCE)
    (site / "onnx_reference" / "runtime.json").write_text("{")
    with pytest.raises(UsageError, match="Invalid JSON") as caught:
        make_recipe({"model": {"path": "net.onnx", "format": "onnx"}})
    assert not isinstance(caught.value, RecipeError)


def test_a_missing_package_a_file_without_json_and_a_name_that_is_taken(site: Path) -> None:
    install(site, "plugged-reference", REFERENCE)
    (site / "onnx_reference" / "runtime.json").write_text("{")
    with pytest.raises(UsageError, match="Invalid JSON"):
        runtimes()
    (site / "onnx_reference" / "runtime.json").unlink()
    with pytest.raises(UsageError, match="no declaration"):
        runtimes()
    points = site / "plugged_reference-1.0.dist-info" / "entry_points.txt"
    points.write_text("[edgeopt.runtimes]\nonnx-reference = not_there\n")
    forget()
    with pytest.raises(UsageError, match="'not_there', which the entry point 'onnx-reference'"):
        runtimes()
    points.write_text("[edgeopt.runtimes]\ntorch = onnx_reference\n")
    forget()
    with pytest.raises(UsageError, match="there is already a runtime 'torch'"):
        runtimes()


def test_what_edgeopt_declares_holds_together() -> None:
    for name in ("onnx", "tflite", "torch"):
        assert runtimes()[scored_by(name)].format == name
        assert model_format(name).marker.startswith("model.")
    ranks = [each.rank for each in runtimes().values()]
    assert ranks == sorted(set(ranks))


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        ("FORMAT = LinearFormat()", "FORMAT = LinearFormat", "FORMAT of the package"),
        ("def runner(", "def run(", "has no runner()"),
        (
            "return {MODEL: path}",
            "return [path]",
            "sources() of the format linear (linear_format) g",
        ),
        ("import shutil", "import shutill", "the format linear (linear_format) failed"),
        (
            "return {MODEL: path}",
            "return {MODEL: str(path)}",
            "not a mapping of names to pathlib.Path",
        ),
        ("def conversion(", "def converted(", "has no conversion()"),
    ],
)
def test_a_format_whose_code_is_wrong_is_named(
    tmp_path: Path, was: str, becomes: str, message: str
) -> None:
    """Guards against "This is a bug in edgeopt" for a fault of another's code."""
    site = install(tmp_path / "site", "plugged-linear", LINEAR)
    code = site / "linear_format" / "__init__.py"
    assert was in code.read_text()
    code.write_text(code.read_text().replace(was, becomes))
    save_linear(tmp_path / "net.linear")
    shown = run(tmp_path, site, "inspect", "net.linear")
    assert shown.returncode in (1, 2) and message in shown.stderr
    assert "bug in edgeopt" not in shown.stderr


@pytest.mark.parametrize(
    ("method", "was", "becomes", "message"),
    [
        ("sources", "return {MODEL: path}", "return {}", "with every file that gather"),
        ("gather", "return {}", "return ['x']", "gives ['x'], not a mapping of inputs"),
        ("gather", "into / MODEL", "into / 'other'", "leaves no file 'model.linear'"),
        ("save", "write_bytes(", "parent.joinpath('x').write_bytes(", "leaves no file 'model.l"),
        (
            "describe",
            'format="linear", sig',
            'format="onnx", sig',
            "gives 'onnx', not a model in l",
        ),
        ("describe", "return Description", "return str or Description", "not of the kind Descript"),
        (
            "load",
            "return read(folder / MODEL)",
            "read(folder / MODEL)",
            "gives None, not a live mod",
        ),
        ("load", "return read(folder / MODEL)", "return {}['k']", "failed: KeyError: 'k'"),
        ("runner", "return lambda feeds", "lambda feeds", "gives None, not a function"),
        ("runner", '{"y": feeds', '{"z": feeds', "gives ['z'], not a mapping to numpy arrays of y"),
        ("runner", '{"y": feeds["x"] @ weights + bias}', "None", "gives None, not a mapping"),
        ("runner", 'feeds["x"] @', 'feeds["k"] @', "failed: KeyError: 'k'"),
        ("inspect", "return Inspection", "return dict", "not of the kind Inspection"),
        ("conversion", "return None", "return 3", "gives 3, not a Conversion or None"),
    ],
)
def test_what_a_format_gives_is_looked_at_where_it_is_called(
    site: Path, method: str, was: str, becomes: str, message: str
) -> None:
    """Guards against "'NoneType' object is not callable", which names no format."""
    install(site, "plugged-linear", LINEAR)
    code = site / "linear_format" / "__init__.py"
    assert was in code.read_text()
    code.write_text(code.read_text().replace(was, becomes))
    save_linear(site / "net.linear")
    save_linear(site / "model.linear")
    kind, into = format_named("linear"), site / "into"
    into.mkdir()
    asked = {
        "sources": lambda: kind.sources({"path": "net.linear"}, site),
        "gather": lambda: kind.gather({"path": "net.linear"}, site, into, {}),
        "save": lambda: kind.save((WEIGHTS, WEIGHTS[0]), into),
        "runner": lambda: kind.runner(site)({"x": np.ones((2, 16), np.float32)}),
        **{
            m: partial(getattr(kind, m), site)
            for m in ("describe", "load", "inspect", "conversion")
        },
    }
    with pytest.raises(PluginError) as caught:
        asked[method]()
    assert message in caught.value.what
    assert f"{method}()" in caught.value.what and "linear (linear_format)" in caught.value.what


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"suffixes": [".linear", ".onnx"]}, "'suffixes': '.onnx' is the format onnx's already"),
        ({"marker": "model.onnx"}, "'marker': 'model.onnx' is the format onnx's already"),
        ({"scored_by": "onnxruntime"}, "'scored_by': the runtime 'onnxruntime' reads onnx, not li"),
    ],
    ids=lambda change: next(iter(change)) if isinstance(change, dict) else "",
)
def test_a_format_that_takes_what_is_another_s_is_refused(
    site: Path, change: dict[str, Any], told: str
) -> None:
    install(site, "plugged-linear", LINEAR)
    file = site / "linear_format" / "format.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(UsageError) as caught:
        model_format("onnx")
    assert str(file) in caught.value.what and told in caught.value.what


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        ("def placement(", "def placed(", "'onnx-reference' has no Session.placement"),
        ("class Session:", "class Sessions:", "'onnx-reference' has no Session"),
        ("def accelerators(", "def accelerator(", "'onnx-reference' has no accelerators"),
        (
            "import os\n",
            "import oss\n",
            "does not import: ModuleNotFoundError: No module named 'oss'",
        ),
        ("def load(threads)", "def load()", "load() of the runtime 'onnx-reference' failed: TypeE"),
        ("def __init__(self, folder", "def __init__(self, dir, folder", "Session() of the runtime"),
        (
            "return dict(feeds)",
            "return feeds['k']",
            "prepare() of the runtime 'onnx-reference' fail",
        ),
        (
            "self._model.run(None",
            "{}['k'](None",
            "call() of the runtime 'onnx-reference' failed: K",
        ),
        (
            "return [np.asarray(array)",
            "return [{}['k']",
            "arrays() of the runtime 'onnx-reference' f",
        ),
        ("return [np.asarray(array) for", "return [1 for", "is [1], not a list of 1 numpy arrays"),
        ("return [np.asarray(array) for", "return [] and [0 for", "is [], not a list of 1 numpy"),
        (
            "return {CPU: self._nodes}",
            "return None",
            "placement() of the runtime 'onnx-reference' is",
        ),
        (
            "self.outputs = ",
            "self.given = ",
            "Session.outputs of the runtime 'onnx-reference' is N",
        ),
        (
            "self.inputs = ",
            "self.taken = ",
            "Session.inputs of the runtime 'onnx-reference' is Non",
        ),
    ],
)
def test_a_runtime_whose_code_is_wrong_is_named(
    site: Path, tmp_path: Path, was: str, becomes: str, message: str
) -> None:
    """Guards against "model: KeyError: 'k'", which names neither runtime, method nor line."""
    install(site, "plugged-reference", REFERENCE)
    code = site / "onnx_reference" / "__init__.py"
    assert was in code.read_text()
    code.write_text(code.read_text().replace(was, becomes))
    save_onnx(tmp_path / "tiny.onnx")
    error = used(tmp_path, "onnx-reference")
    text = "{where}: {what} ({hint})".format(**error)
    assert message in text and str(code) in text, text
    assert "pip install" not in text and error["where"], "it names no model"


def used(folder: Path, runtime: str) -> dict[str, str]:
    """The error with which an agent answers one of the requests that a race consists of."""
    root = folder / "agent"
    root.mkdir()
    agent = Agent(str(root))
    feed, model = root / "feed.npy", (folder / "tiny.onnx").read_bytes()
    np.save(feed, np.zeros((4, 16), np.float32))
    digests = []
    for data in (feed.read_bytes(), model):
        digests.append(hashlib.sha256(data).hexdigest())
        (root / digests[-1]).write_bytes(data)
    named = {"session": "s", "feed": "f"}
    for request in (
        {"do": "accelerators", "runtime": runtime},
        {"do": "runtime", "name": runtime, "threads": 1},
        {"do": "feed", "feed": "f", "blobs": {"x": digests[0]}, "take": 4, "batch": 2},
        {"do": "open", **named, "files": {"model.onnx": digests[1]}, "runtime": runtime,
         "accelerator": "cpu"},
        {"do": "time", "turns": [["s", "f", 2]]},
        {"do": "run", **named, "start": 0, "stop": 4, "batch": 2, "pad": False},
        {"do": "placement", **named},
    ):  # fmt: skip
        header, _ = protocol.unpack(io.BytesIO(agent.answer(request, {})).read)
        if "error" in header:
            error: dict[str, str] = header["error"]
            return error
    raise AssertionError("nothing failed")


@pytest.mark.parametrize(
    ("file", "was", "becomes", "told"),
    [
        ("__init__.py", 'return {"cpu": CPU}', 'return ["cpu"]', "is ['cpu'], not a dictionary"),
        ("__init__.py", 'return {"cpu": CPU}', "return {}['k']", "accelerators() of the runtime"),
        ("__init__.py", "import os\n", "import oss\n", "No module named 'oss'"),
        ("runtime.json", '"format"', '"fromat"', "unknown key 'fromat'"),
    ],
)
def test_doctor_tells_what_is_wrong_with_a_runtime(
    tmp_path: Path, file: str, was: str, becomes: str, told: str
) -> None:
    """Guards against a "yes" for what no run can use, and an end of what is to diagnose it."""
    site = install(tmp_path / "site", "plugged-reference", REFERENCE)
    code = site / "onnx_reference" / file
    assert was in code.read_text()
    code.write_text(code.read_text().replace(was, becomes))
    done = run(tmp_path, site, "doctor", "--json")
    assert done.returncode == int(file == "runtime.json"), done.stderr
    found = json.loads(done.stdout)
    assert any(told in problem and str(code) in problem for problem in found["problems"])
    assert not found["targets"].get("local/onnx-reference", {}).get("reachable")


def test_declarations_that_name_what_is_not_there_are_refused(site: Path) -> None:
    install(site, "plugged-reference", REFERENCE)
    install(site, "plugged-linear", LINEAR)
    for file, key, name in (
        (site / "onnx_reference" / "runtime.json", "format", "onx"),
        (site / "linear_format" / "format.json", "scored_by", "linea"),
    ):
        text = file.read_text()
        file.write_text(json.dumps({**json.loads(text), key: name}))
        forget()
        with pytest.raises(UsageError, match=f"'{key}': there is no .* '{name}'") as caught:
            model_format("onnx")
        assert str(file) in caught.value.what
        file.write_text(text)
        forget()


def test_doctor_tells_of_views_and_of_groups_that_nobody_reads(tmp_path: Path) -> None:
    """Guards against a plug-in that is not found, with no word on why."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "blind_view.py").write_text("def drow(document):\n    return ''\n")
    (site / "broken_view.py").write_text("import no_such_library\n")
    write_metadata(site, "views", {
        "edgeopt.views": {"blind": "blind_view"},
        "edgeopt.comparison_views": {"broken": "broken_view"},
        "edgeopt.metric": {"mcc": "blind_view:MCC"},
    })  # fmt: skip
    done = run(tmp_path, site, "doctor", "--json")
    told = "\n".join(json.loads(done.stdout)["problems"])
    assert "a view cannot be used" in told and "'blind' has no function draw(document)" in told
    assert "no_such_library" in told
    assert "'mcc' of edgeopt.metric is in a group that edgeopt does not know" in told
    assert "Did you mean 'edgeopt.metrics'?" in told


KITS = """\
import numpy as np
import pytest
from edgeopt.testing.formats import FormatConformance
from edgeopt.testing.models import Model
from edgeopt.testing.sessions import SessionConformance


class TestReference(SessionConformance):
    @pytest.fixture
    def target(self):
        return "local/onnx-reference"


class Linear:
    @pytest.fixture
    def model(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("model")
        rng = np.random.default_rng(0)
        held = {"weights": rng.normal(size=(6, 3)), "bias": rng.normal(size=3)}
        file = folder / "net.linear"
        with file.open("wb") as stream:
            np.savez(stream, **{name: array.astype("f4") for name, array in held.items()})
        samples = {"x": rng.normal(size=(40, 6)).astype("f4")}
        return Model("linear", folder, {"path": file.name}, file, samples)


class TestRuntime(Linear, SessionConformance):
    @pytest.fixture
    def target(self):
        return "local/linear"


class TestFormat(Linear, FormatConformance):
    pass
"""


def test_the_examples_of_the_pages_pass_the_kits_that_the_pages_name(tmp_path: Path) -> None:
    site = install(tmp_path / "site", "plugged-reference", REFERENCE)
    install(site, "plugged-linear", LINEAR)
    (tmp_path / "test_kits.py").write_text(KITS)
    done = ran(site, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_kits.py")
    assert done.returncode == 0, done.stdout[-3000:]
