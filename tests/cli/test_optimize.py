"""The command that goes the whole way, without measuring: what it writes, prints and logs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from passes_bench import network, samples

EDGEOPT = Path(sys.executable).with_name("edgeopt")
REPORT = "edgeopt-out/net/report.html"


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command in a folder with a model and its data."""
    onnx.save(network(), folder / "net.onnx")
    x = samples(32)
    np.savez(folder / "d.npz", **{"train.x": x[:16], "validation.x": x[16:]})
    env = {**os.environ, "EDGEOPT_STORE": str(folder / "store")}
    asked = [str(EDGEOPT), "optimize", "net.onnx", "--data", "d.npz", "--quiet", *words]
    return subprocess.run(asked, cwd=folder, env=env, capture_output=True, text=True, timeout=240)


def test_without_races_the_smallest_is_chosen_and_no_time_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, "--no-race", "--constraint", "fidelity.cosine >= 0.5")
    assert done.returncode == 0, done.stderr
    assert "no race was run: no time was taken" in done.stdout
    assert "No race was run: no time was taken" in (tmp_path / REPORT).read_text()
    result = json.loads((tmp_path / REPORT).with_name("result.json").read_text())
    (target,) = result["targets"]
    assert result["unraced"] and (target["verdict"], target["objective"]) == ("chosen", "size")
    measured = {c["id"]: c["measurements"] for c in target["candidates"] if c["measurements"]}
    assert not any(name for m in measured.values() for name in m if "latency" in name)
    assert not any("race:" in job for job in result["jobs"]["ran"])
    sizes = {id: m["size"]["value"] for id, m in measured.items()}
    assert sizes[target["chosen"]] == min(sizes.values())
    assert "no time was taken" in target["sentence"]
    assert any(note.startswith("no race was run (--no-race)") for note in result["notes"])


@pytest.mark.parametrize(
    "words",
    [("--constraint", "latency.p99 <= 8 ms"), ("--no-bench",), ("--quick",)],
    ids=lambda words: words[0],
)
def test_what_needs_a_race_is_refused_before_anything_is_built(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = run(tmp_path, "--no-race", *words)
    assert done.returncode == 2 and "--no-race" in done.stderr
    assert not (tmp_path / "edgeopt-out").exists()
    kept = tmp_path / "store" / "outcomes"
    assert not kept.exists() or not any(kept.rglob("*.json")), "nothing was read"


def test_a_model_is_built_into_its_own_folder(tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "net.onnx")
    x = samples(32)
    np.savez(tmp_path / "d.npz", **{"train.x": x[:16], "validation.x": x[16:]})
    words = ["optimize", "net.onnx", "--data", "d.npz", "--no-bench", "--quiet", "--log", "events",
             "--constraint", "size <= 1 MB"]  # fmt: skip
    env = {**os.environ, "EDGEOPT_STORE": str(tmp_path / "store")}
    done = subprocess.run([str(EDGEOPT), *words], cwd=tmp_path, env=env, capture_output=True,
                          text=True, timeout=240)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "it was asked to be quiet"
    out = tmp_path / "edgeopt-out" / "net"
    assert "result: edgeopt-out/net/result.json" in done.stdout
    result = json.loads((out / "result.json").read_text())
    (target,) = result["targets"]
    assert target["verdict"] == "built" and result["recipe"]["constraints"] == ["size <= 1 MB"]
    assert all((out / each["path"]).exists() for each in target["candidates"] if each["path"])
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert {"phase", "start"} <= {event["what"] for event in events}
