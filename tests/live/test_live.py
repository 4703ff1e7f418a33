"""Live models and data of every form: read, refused by name, and never run by workers."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from live_parts import Net, images
from torch import nn

import edgeopt
from edgeopt.live import program
from edgeopt.schema.errors import ModelError, RecipeError, UsageError


def refused() -> Any:
    raise KeyError("no such table")


class Locked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
        self.inner[1].guard = threading.Lock()  # type: ignore[assignment]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


class Branch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return x * 2
        return x


class Outer(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


class Finds(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[x.abs() > 0.5]


@pytest.mark.parametrize(
    ("model", "said", "where"),
    [
        (Locked(), "'guard'", "Locked.inner.1"),
        (Outer(Branch()), "cannot be traced", "Outer.inner (test_live.py:"),
        (Finds(), "depends on the data", "Finds"),
        (Outer(nn.Linear(5, 5)), "cannot be traced", "Outer.inner (test_live.py:"),
        (nn.Linear(4, 4).double(), "'weight' is float64", "Linear"),
    ],
)
def test_a_model_that_cannot_be_used_is_named(
    tmp_path: Path, model: nn.Module, said: str, where: str
) -> None:
    example = {"x": np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)}
    with pytest.raises(ModelError, match=said) as caught:
        program.save(model, example, tmp_path)
    assert where in caught.value.where
    assert not list(tmp_path.iterdir()), "nothing half-written stays"


def test_a_source_of_nan_and_what_is_no_model_are_named(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    with torch.no_grad():
        model[0].weight.fill_(float("nan"))
    asked: dict[str, Any] = {
        "data": (torch.rand(64, 4), torch.arange(64) % 4), "targets": ["local/onnxruntime"],
        "bench": False, "store": tmp_path / "store", "out": tmp_path / "out",
    }  # fmt: skip
    with pytest.raises(ModelError, match="the source gives NaN: output"):
        edgeopt.optimize(model, **asked)
    with pytest.raises(UsageError, match="a function is not a model"):
        edgeopt.optimize(refused, **asked)


@pytest.mark.parametrize("asked", [{"speedup": "2x"}, {"passes": ["distill", "export-onnx"]}])
def test_what_would_change_a_live_module_says_how_to(asked: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="a live module has no factory") as caught:
        edgeopt.optimize(Net(), data=images(), store=tmp_path / "store", **asked)
    assert "edgeopt.passes" in caught.value.hint and "factory" in caught.value.hint


def test_what_qat_made_is_not_exported_without_its_ranges(tmp_path: Path) -> None:
    from edgeopt.passes import Qat

    made = Qat(steps=2, batch=16)(Net(), images())
    with pytest.raises(ModelError, match="was made by qat") as caught:
        edgeopt.optimize(made, data=images(), store=tmp_path / "store")
    assert "factory" in caught.value.hint


SCRIPT = """
import sys
import numpy as np, torch, edgeopt
sys.path.insert(0, {folder!r})
from live_parts import SHORT, Net, images
print("started")
x, y = images()
where = dict(store={store!r}, out={out!r})
result = edgeopt.optimize(Net(), data=lambda: (x, y), quick=True, **where, **SHORT)
print("chosen", result.best().path, result.recipe["model"]["path"])
"""


def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    out = str(tmp_path / "out")
    folder = str(Path(__file__).parent)
    script.write_text(SCRIPT.format(folder=folder, store=str(tmp_path / "store"), out=out))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("started") == 1, "workers never run the caller's script"
    assert done.stdout.count("chosen") == 1
    assert "Net.pt2" in done.stdout and str(tmp_path / "store") not in done.stdout
    assert (tmp_path / "out" / "report.html").exists()
