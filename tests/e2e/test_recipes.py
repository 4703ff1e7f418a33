"""The other shipped recipes: other kinds of models and data, through the real command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from e2e_project import EDGEOPT

ROOT = Path(__file__).parents[2]
TIE = 0.005  # of a ratio: of those that are so near, another figure decides


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of requirements/examples.txt."""
    folder = tmp_path_factory.mktemp("packages")
    pins = str(ROOT / "requirements" / "examples.txt")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet",
               "--no-deps", "--target", str(folder), "-r", pins]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return folder


def optimized(recipe: Path, into: Path, *args: str, site: Path | None = None) -> dict[str, Any]:
    """The target's part of the result of a quick run."""
    extra = {} if site is None else {"PYTHONPATH": str(site)}
    done = subprocess.run(
        [str(EDGEOPT), "optimize", str(recipe), "--quick", "--out", str(into / "out"), *args],
        env={**os.environ, "EDGEOPT_STORE": str(into / "store"), **extra},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (target,) = json.loads((into / "out" / "result.json").read_text())["targets"]
    assert target["verdict"] == "chosen" and (into / "out" / target["path"]).exists()
    fit = [c for c in target["candidates"] if c["status"] in ("chosen", "lost", "screened")]
    least = min(c["measurements"]["ratio.latency.p50"]["value"] for c in fit)
    (chosen,) = [c for c in target["candidates"] if c["status"] == "chosen"]
    mine = chosen["measurements"]["ratio.latency.p50"]["value"]
    assert mine <= least * (1 + 2 * TIE), "measured fastest of the feasible, or tied with it"
    return target


def test_a_sensor_network_is_chosen_and_judged_person_by_person(tmp_path: Path) -> None:
    target = optimized(ROOT / "recipes" / "imu.yaml", tmp_path, "--target", "local/onnxruntime")
    assert 0.85 < target["source"]["accuracy"]["value"] < 0.95
    for split, people in (("validation", {"7", "8"}), ("test", {"9", "10"})):
        figures = target["slices"][split]
        assert {f["value"] for f in figures if f["column"] == "subject"} == people
        assert {f["value"] for f in figures if f["column"] == "class"} == set("0123456")
    assert {c["chain"][-1]["name"] for c in target["candidates"]} >= {"quantize-int8", "fp16"}


@pytest.mark.long
@pytest.mark.slow
def test_a_sensor_network_races_in_every_runtime(tmp_path: Path) -> None:
    target = optimized(ROOT / "recipes" / "imu.yaml", tmp_path)
    raced = {c["target"].rpartition("/")[2] for c in target["candidates"]}
    assert raced == {"onnxruntime", "openvino", "litert"}


@pytest.mark.long
@pytest.mark.slow
def test_a_sentence_encoder_is_scored_by_fidelity(tmp_path: Path, packages: Path) -> None:
    target = optimized(ROOT / "recipes" / "minilm.yaml", tmp_path, site=packages)
    reference = next(c for c in target["candidates"] if c["reference"])
    names = [tensor["name"] for tensor in reference["description"]["signature"]["outputs"]]
    assert names == ["embedding", "tokens"]
    assert reference["measurements"]["fidelity.cosine"]["value"] > 0.9999
    halves = next(c for c in target["candidates"] if c["label"].endswith("fp16"))
    assert halves["measurements"]["fidelity.cosine"]["value"] > 0.999
    assert halves["measurements"]["ratio.size"]["value"] < 0.6
    spared = [c["measurements"] for c in target["candidates"] if "float_outliers" in c["label"]]
    assert max(found["fidelity.cosine@embedding"]["low"] for found in spared) >= 0.99
    assert all(found["ratio.size"]["value"] < 0.35 for found in spared)


@pytest.mark.long
@pytest.mark.slow
def test_a_depthwise_network_is_quantized_on_a_folder_of_photographs(
    tmp_path: Path, packages: Path
) -> None:
    for name in ("recipes/efficientnet-lite0.yaml", "models/efficientnet_lite0/net.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(ROOT / name, tmp_path / name)
    prepare = ROOT / "models" / "efficientnet_lite0" / "prepare.py"
    images = tmp_path / "models" / "efficientnet_lite0" / "images"
    subprocess.run([sys.executable, str(prepare), str(packages), str(images)], check=True)
    recipe = tmp_path / "recipes" / "efficientnet-lite0.yaml"
    target = optimized(recipe, tmp_path, site=packages)
    sound = [c for c in target["candidates"] if c["status"] != "failed"]
    assert len(sound) == len(target["candidates"]) >= 7
    chosen = next(c for c in sound if c["status"] == "chosen")
    assert chosen["measurements"]["fidelity.cosine"]["value"] >= 0.98
