"""The worker ``torch``: user code is imported there, and nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgeopt.engine import Engine
from edgeopt.schema.artifact import Description
from edgeopt.schema.job import Arrays, Job, Outcome
from edgeopt.step import EXACT
from edgeopt.store import Store

NET = """
import sys
from torch import nn

print("imported by", sys.argv)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(x)

def make():
    return Net()

def broken():
    raise ZeroDivisionError("a factory may raise anything")
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "user_net.py").write_text(NET)
    rng = np.random.default_rng(0)
    weights = {"head.weight": rng.standard_normal((3, 4)), "head.bias": rng.standard_normal(3)}
    save_file({k: v.astype(np.float32) for k, v in weights.items()}, root / "w.safetensors")
    return root


def open_job(root: Path, factory: str) -> Job:
    spec = {"format": "torch", "factory": f"user_net.py:{factory}", "weights": "w.safetensors"}
    samples = {"x": {"shape": [4], "dtype": "float32", "layout": ""}}
    return Job(
        id="open",
        kind="open",
        name="torch",
        worker="torch",
        params={"spec": spec | {"sources": []}, "samples": samples},
        where={"root": str(root)},
    )


def test_a_torch_model_is_opened_and_equals_itself(
    engine: Engine, root: Path, store: Store
) -> None:
    known = engine.run([open_job(root, "make")], {})
    assert known["open"].ok, known["open"].error
    description = Description.model_validate(known["open"].value["description"])
    assert description.signature.inputs[0].shape == ("batch", 4)
    x = np.random.default_rng(1).standard_normal((5, 4)).astype(np.float32)
    tensors = Arrays(split="validation", n=5, arrays={"x": store.put_array(x)})
    known["x"] = Outcome(job="x", status="ok", digest=tensors.digest, value=tensors.to_json())
    roles: dict[str, Any] = {"parent": "open", "child": "open"}
    check = Job(
        id="check",
        kind="check",
        name="itself",
        worker="torch",
        params={"promise": EXACT.to_json(), "n": 16},
        inputs=roles | {"samples": "x", "child_samples": "x"},
    )
    outcome = engine.run([check], known)["check"]
    assert outcome.ok, outcome.error
    assert (outcome.value["n"], outcome.value["max_abs"]) == (5, 0.0)
    assert "user_net" not in sys.modules


def test_a_factory_that_raises_is_one_error(engine: Engine, root: Path) -> None:
    error = engine.run([open_job(root, "broken")], {})["open"].error
    assert error is not None and error["type"] == "ModelError"
    assert "a factory may raise anything" in error["what"]
    assert "Traceback" not in str(error)
