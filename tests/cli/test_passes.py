"""The command that tells what a recipe may ask for."""

from __future__ import annotations

import json
from pathlib import Path

from cli_run import run


def test_passes_are_listed_and_explained(tmp_path: Path) -> None:
    listed = json.loads(run("passes", "--json", cwd=tmp_path).stdout)
    names = {(each["name"], each["takes"]) for each in listed}
    assert {("export-onnx", "torch"), ("quantize-int8", "onnx"), ("fp16", "onnx")} <= names
    shown = run("passes", "quantize-int8", cwd=tmp_path).stdout
    for word in ("scheme", "per_channel", "calibration", "u8s8-reduced"):
        assert word in shown
    assert "simplify-onnx" in run("passes", cwd=tmp_path).stdout
