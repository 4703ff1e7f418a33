"""Baselines and the gate: what is saved, what is refused, and what a check says."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from passes_bench import network, samples
from ruamel.yaml import YAML

import edgeopt
from edgeopt import baselines
from edgeopt.commands.gate import NOISE, sure_low
from edgeopt.report import COMPARISONS, draw
from edgeopt.schema.errors import DataError, UsageError
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import Result
from edgeopt.stats.ratios import geometric_interval
from edgeopt.store import Store

INTEGRATIONS = Path(__file__).parents[2] / "integrations"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A folder with a model, its samples, a store and the result of a quick run."""
    folder = tmp_path_factory.mktemp("gate")
    onnx.save(network(), folder / "net.onnx")
    x = samples(64)
    np.savez(folder / "d.npz", **{"validation.x": x})
    with Store(folder / "store") as store:
        result = edgeopt.optimize(
            folder / "net.onnx", data=folder / "d.npz", passes=["simplify-onnx"], quick=True,
            constraints=[], out=folder / "out", store=store,
        )  # fmt: skip
    return folder, result


def save(folder: Path, name: str, result: Any, **more: Any) -> Path:
    with Store(folder / "store") as store:
        return baselines.save(name, result, folder / "b", store=store, **more)


def check(folder: Path, given: Any, name: str, **more: Any) -> Any:
    with Store(folder / "store") as store:
        return baselines.check(given, name, folder=folder / "b", store=store, **more)


def test_a_baseline_is_small_and_the_same_for_the_same_result(run: tuple[Path, Result]) -> None:
    folder, result = run
    file = save(folder, "one", result)
    text = file.read_text()
    assert len(text) < 30_000 and text.count("\n") > 50, "a line for each figure"
    again = save(folder, "one", folder / "out", force=True).read_text()
    changed = [(a, b) for a, b in zip(text.split("\n"), again.split("\n"), strict=True) if a != b]
    assert all('"saved"' in a or '"digest"' in a for a, _ in changed), changed
    (listed,) = baselines.listed(folder / "b")
    assert listed["targets"] == {"local/onnxruntime": "simplify-onnx"}
    with pytest.raises(UsageError, match="such a baseline already"):
        save(folder, "one", result)


def test_the_same_choice_passes_without_a_race(run: tuple[Path, Result]) -> None:
    folder, result = run
    save(folder, "same", result)
    bounds = ["latency.p50 <= 1.03x baseline", "size <= baseline", "fidelity.sqnr >= 60 dB"]
    found = check(folder, result, "same", require=bounds)
    assert found.exit_code == 0 and len(found.pairs[0].verdicts) == 3
    assert any("nothing was raced" in note for note in found.pairs[0].notes)
    assert all("source" not in v.sentence for v in found.pairs[0].verdicts)


def test_another_file_is_raced_now_and_answers_the_same_samples(run: tuple[Path, Result]) -> None:
    folder, result = run
    save(folder, "raced", result, with_model=True)
    shutil.rmtree(folder / "elsewhere", ignore_errors=True)
    with Store(folder / "elsewhere") as store:  # another machine, which has the repository alone
        found = baselines.check(
            folder / "net.onnx", "raced", folder=folder / "b", data=folder / "d.npz", store=store,
            require=["size <= 3x baseline"], quick=True,
        )  # fmt: skip
    (pair,) = found.pairs
    assert "ratio.latency.p50" in pair.against and pair.against["ratio.latency.p50"].n >= 3
    assert {v.constraint for v in pair.verdicts} == {
        "size <= 3x baseline", "latency.p50 not slower than baseline"
    }  # fmt: skip
    assert found.exit_code in (0, 3)
    for view in ("terminal", "json", "junit", "markdown", "github", "bencher"):
        assert draw(found, view, COMPARISONS)
    assert "::" in draw(found, "github", COMPARISONS)
    assert json.loads(draw(found, "bencher", COMPARISONS))[pair.target]["size"]["value"] > 0


def test_without_the_model_time_is_not_checked_and_a_bound_on_it_is_inconclusive(
    run: tuple[Path, Result], tmp_path: Path
) -> None:
    """Guards against saved times that are compared, and a pass for what nobody looked at."""
    folder, result = run
    save(folder, "bare", result)
    with Store(tmp_path / "empty") as store:
        plain = baselines.check(result, "bare", folder=folder / "b", store=store)
        asked = baselines.check(
            result, "bare", folder=folder / "b", store=store,
            require=["latency.p50 <= 1.03x baseline"],
        )  # fmt: skip
    assert plain.exit_code == 0 and not plain.pairs[0].verdicts
    assert any("time was not checked" in note for note in plain.pairs[0].notes)
    assert not any("latency" in name for name in plain.pairs[0].against)
    assert asked.exit_code == 4 and "not checked" in asked.pairs[0].verdicts[0].sentence


def test_a_baseline_reads_in_another_process(run: tuple[Path, Result]) -> None:
    """Guards a digest that hangs on the order of a set, which differs from process to process."""
    folder, result = run
    form = result.to_json()
    for target in form["targets"]:
        for candidate in target["candidates"]:
            if candidate["description"]:
                candidate["description"]["facts"] = ["qdq", "int8", "int8-activations", "float32"]
    save(folder, "facts", Result.model_validate(form).lying_in(folder / "out"))
    code = (
        "from pathlib import Path\nfrom edgeopt.commands.baseline import read_baseline\n"
        f"read_baseline('facts', Path({str(folder / 'b')!r}))"
    )
    for seed in ("0", "1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code], env=env, check=True)


def test_a_folder_that_is_no_baselines_stays(run: tuple[Path, Result]) -> None:
    """Guards against a name that is also that of somebody's folder."""
    folder, result = run
    (folder / "b" / "mine").mkdir(parents=True)
    (folder / "b" / "mine" / "kept").touch()
    for more in ({}, {"with_model": True}, {"force": True}):
        with pytest.raises(UsageError, match="a folder of that name is in the way"):
            save(folder, "mine", result, **more)
    assert (folder / "b" / "mine" / "kept").exists()
    save(folder, "held", result, with_model=True)
    save(folder, "held", result, force=True)
    assert not (folder / "b" / "held").exists(), "its own files go with it"


def test_a_chosen_file_that_was_changed_is_not_what_was_measured(
    run: tuple[Path, Result], tmp_path: Path
) -> None:
    folder, _ = run
    shutil.copytree(folder / "out", tmp_path / "out")
    (file,) = (tmp_path / "out" / "best").rglob("model.onnx")
    file.write_bytes(b"changed")
    changed = edgeopt.load(tmp_path / "out")
    saved = save(folder, "checked", changed, with_model=True)
    kept = next((saved.parent / "checked").rglob("model.onnx"))
    assert kept.read_bytes() != b"changed", "the store has what was measured"
    with Store(tmp_path / "empty") as store, pytest.raises(DataError, match="not the file that"):
        baselines.save("other", changed, tmp_path / "b", with_model=True, store=store)
    assert not (tmp_path / "b" / "other.json").exists()


def test_a_target_that_is_not_decided_is_told_and_fails(run: tuple[Path, Result]) -> None:
    folder, result = run
    save(folder, "decided", result)
    form = result.to_json()
    for verdict, code in (("unmet", 3), ("refused-on-test", 3), ("inconclusive", 4)):
        form["targets"][0]["verdict"] = verdict
        found = check(folder, Result.model_validate(form).lying_in(folder / "out"), "decided")
        assert found.exit_code == code and not found.pairs
        assert found.undecided["local/onnxruntime"].startswith(verdict)
        assert "<error" in draw(found, "junit", COMPARISONS)


@pytest.mark.parametrize("key", ["value", "saved", "name"])
def test_what_was_changed_by_hand_is_refused(run: tuple[Path, Result], key: str) -> None:
    folder, result = run
    file = save(folder, "changed", result, force=True)
    held = json.loads(file.read_text())
    if key == "value":
        held["result"]["targets"][0]["candidates"][0]["measurements"]["size"]["value"] *= 2
    else:
        held[key] += "x"
    file.write_text(json.dumps(held))
    with pytest.raises(DataError, match="was changed since it was saved") as caught:
        check(folder, result, "changed")
    assert caught.value.exit_code == 1 and caught.value.where == str(file)


def test_a_baseline_of_another_model_is_an_error(run: tuple[Path, Result]) -> None:
    folder, result = run
    save(folder, "other", result)
    form = result.to_json()
    form["source"]["description"]["signature"]["outputs"][0]["name"] = "boxes"
    other = Result.model_validate(form).lying_in(folder / "out")
    with pytest.raises(DataError, match="of another model: its outputs are") as caught:
        check(folder, other, "other")
    assert caught.value.exit_code == 1


def test_a_model_beside_a_baseline_that_is_another_is_refused(run: tuple[Path, Result]) -> None:
    folder, result = run
    save(folder, "swapped", result, with_model=True)
    (file,) = (folder / "b" / "swapped").rglob("model.onnx")
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(DataError, match="is not the file that was measured"):
        check(folder, folder / "net.onnx", "swapped")


@pytest.mark.parametrize(
    ("name", "require", "said"),
    [
        ("none", [], "no baseline 'none'"),
        ("../x", [], "is not a valid name"),
        ("ok", ["accuracy >= source - 1pt"], "against the baseline"),
        ("ok", ["latency <= 1x baseline"], "unknown quantity"),
    ],
)
def test_wrong_use_is_told(
    run: tuple[Path, Result], name: str, require: list[str], said: str
) -> None:
    folder, result = run
    save(folder, "ok", result, force=True)
    with pytest.raises(UsageError, match=said) as caught:
        check(folder, result, name, require=require)
    assert caught.value.exit_code == 2


def test_time_is_lost_where_the_one_sided_interval_says_so() -> None:
    """The 99% end is wider than the 95% one of the two-sided interval, as a 98% interval is."""
    found = geometric_interval([1.02, 1.03, 1.04, 1.03, 1.03])
    ratio = Measurement(quantity="ratio.latency.p50", value=found.value, unit="x",
                        low=found.low, high=found.high, n=found.n)  # fmt: skip
    assert found.low is not None and 1.0 < sure_low(ratio) < found.low
    logs = [math.log(each) for each in (1.02, 1.03, 1.04, 1.03, 1.03)]
    mean = sum(logs) / 5
    error = math.sqrt(sum((x - mean) ** 2 for x in logs) / 4 / 5)
    assert sure_low(ratio) == pytest.approx(math.exp(mean - 3.747 * error), rel=1e-4)
    assert found.value > NOISE


@pytest.mark.parametrize(("factor", "code"), [(1.0, 0), (1.01, 0), (1.03, 3)])
def test_instructions_are_compared_as_they_were_counted(
    run: tuple[Path, Result], factor: float, code: int
) -> None:
    """On any machine, and without the baseline's model."""
    folder, result = run

    def counted(times: float) -> Result:
        form = result.to_json()
        for candidate in form["targets"][0]["candidates"]:
            held = candidate["measurements"]
            for name in [name for name in held if "latency" in name]:
                del held[name]
            held["instructions"] = {"quantity": "instructions", "value": 1e6 * times,
                                    "unit": "count"}  # fmt: skip
        return Result.model_validate(form).lying_in(folder / "out")

    save(folder, "counted", counted(1.0), force=True)
    with Store(folder / f"empty-{code}") as store:
        found = baselines.check(counted(factor), "counted", folder=folder / "b", store=store)
    (verdict,) = found.pairs[0].verdicts
    assert found.exit_code == code and verdict.quantity == "instructions"


def scripts() -> dict[str, str]:
    """What the GitHub action and the GitLab template run."""
    load = YAML(typ="safe", pure=True).load
    action = load((INTEGRATIONS / "github" / "action.yml").read_text())
    template = load((INTEGRATIONS / "gitlab" / "edgeopt-check.yml").read_text())
    (step,) = action["runs"]["steps"]
    assert set(step["env"]) <= {"CHECKED", "BASELINE", "DIRECTORY", "TARGET", "REQUIRE", "RECIPE",
                                "JUNIT"}  # fmt: skip
    return {"github": step["run"], "gitlab": template[".edgeopt-check"]["script"][0]}


@pytest.mark.parametrize("where", ["github", "gitlab"])
@pytest.mark.parametrize(("bound", "code"), [("size <= baseline", 0), ("size <= 0.5x baseline", 3)])
def test_the_scripts_of_pipelines_pass_and_fail_with_a_sentence(
    run: tuple[Path, Result], tmp_path: Path, where: str, bound: str, code: int
) -> None:
    folder, result = run
    save(folder, "main", result, force=True)
    env = {
        **os.environ, "CHECKED": str(folder / "out"), "BASELINE": "main", "TARGET": "",
        "DIRECTORY": str(folder / "b"), "REQUIRE": f"fidelity.sqnr >= 40 dB\n{bound}\n",
        "RECIPE": "", "JUNIT": "edgeopt-check.xml", "GITHUB_STEP_SUMMARY": "edgeopt-check.md",
        "EDGEOPT_STORE": str(folder / "store"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    done = subprocess.run(
        ["sh", "-e", "-c", scripts()[where]], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    suite = ElementTree.parse(tmp_path / "edgeopt-check.xml").getroot()[0]
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("3", str(int(code == 3)))
    assert "size" in (tmp_path / "edgeopt-check.md").read_text()
    if where == "github":
        said = "::error title=local/onnxruntime%3A size <= 0.5x baseline::"
        assert (said in done.stdout) == bool(code)
