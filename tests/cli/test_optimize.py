"""The command that goes the whole way, without measuring: what it writes, prints and logs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from passes_bench import network, samples

EDGEOPT = Path(sys.executable).with_name("edgeopt")


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
