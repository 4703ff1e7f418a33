"""A user's project in a folder: the shipped network, few samples, a recipe, a store."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

MODEL = Path(__file__).parents[2] / "models" / "fashion_mnist"
EDGEOPT = Path(sys.executable).with_name("edgeopt")
SHORT = (sys.executable, "-P", str(Path(__file__).with_name("short_races.py")))
RECIPE = """\
model:
  format: torch
  factory: "net.py:resnet"
  weights: source.safetensors
data:
  source: samples.npz
  inputs: {image: images}
  label: label
  splits:
    calibration: "train[:48]"
    validation: validation
    test: test
  preprocess: [{scale: 255}, {normalize: {mean: 0.286, std: 0.353}}]
targets: [local/onnxruntime]
objective: size
constraints: ["accuracy >= source - 10pt"]
passes:
  - export-onnx: {}
  - one_of: [none, {simplify-onnx: {}}]
  - one_of: [none, {quantize-int8: {scheme: s8s8}}]
"""
ONNX = """\
model: source.onnx
data:
  source: samples.npz
  inputs: {image: images}
  label: label
  splits: {calibration: train, validation: validation, test: test}
  preprocess: [{scale: 255}, {normalize: {mean: 0.286, std: 0.353}}]
objective: size
constraints: ["accuracy >= source - 10pt"]
passes:
  - one_of: [none, {quantize-int8: {scheme: u8s8-reduced}}]
"""


@dataclass
class Project:
    """A folder with a recipe, and the real command run in it with a store of its own.

    ``short``: its races take milliseconds, and what they show is no time.
    """

    folder: Path
    store: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    extra: dict[str, str] = field(default_factory=dict)
    short: bool = False

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.yaml"

    def write(self, text: str) -> None:
        self.recipe.write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new))

    def env(self) -> dict[str, str]:
        own = {"EDGEOPT_STORE": str(self.store), "EDGEOPT_TEST_MARK": self.mark}
        return {**os.environ, **own, **self.extra}

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*(SHORT if self.short else (str(EDGEOPT),)), *args],
            cwd=self.folder,
            env=self.env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        process = self.start(*args)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def optimize(self, *args: str) -> dict[str, Any]:
        """Run the recipe, quick; the result document."""
        done = self.run("optimize", "recipe.yaml", "--quick", "--json", "--out", "out", *args)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def left_behind(self) -> list[str]:
        """Command lines of live processes that this project's runs started."""
        deadline = time.monotonic() + 5
        while True:
            alive = [p for p in psutil.process_iter() if self._mine(p)]
            if not alive or time.monotonic() > deadline:
                return [" ".join(p.cmdline()) for p in alive]
            time.sleep(0.1)

    def _mine(self, process: psutil.Process) -> bool:
        try:
            marked = process.environ().get("EDGEOPT_TEST_MARK") == self.mark
            return marked and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):
            return False


def save_samples(path: Path, few: int = 200, **changed: np.ndarray) -> None:
    """A few samples of each split of the shipped archive, with arrays replaced."""
    with np.load(MODEL / "fashion_mnist.npz") as archive:
        arrays = {
            f"{split}.{name}": archive[f"{split}.{name}"][:count]
            for split, count in (("train", 48), ("validation", few), ("test", few))
            for name in ("images", "label")
        }
    np.savez(path, **{**arrays, **{k.replace("__", "."): v for k, v in changed.items()}})


def make_project(folder: Path) -> Project:
    """The project in a new folder below ``folder``, its store beside it."""
    place = folder / "project"
    place.mkdir()
    for name in ("net.py", "source.safetensors"):
        shutil.copy(MODEL / name, place / name)
    save_samples(place / "samples.npz")
    made = Project(place, folder / "store")
    made.write(RECIPE)
    return made


def from_onnx(folder: Path) -> Project:
    """The project starting from ONNX, its races short ones."""
    made = make_project(folder)
    made.short = True
    shutil.copy(MODEL / "source.onnx", made.folder)
    made.write(ONNX)
    return made
