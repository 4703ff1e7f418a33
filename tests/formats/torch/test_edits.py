"""Edits: replayed before weights fit, the same bits in a fresh process, data and never code."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgeopt.agent.sessions.torch import Session
from edgeopt.formats import format_named
from edgeopt.formats.torch import edited, edits
from edgeopt.schema.errors import ModelError, PassError

TORCH = format_named("torch")
NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv1d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm1d(8)
        self.b = nn.Linear(8, 5)

    def forward(self, x):
        return self.b(torch.relu(self.norm(self.a(x))).mean(dim=2))

class Attends(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]

def make():
    return Net()

def attends():
    return Attends()
"""
KEPT = [0, 2, 3, 7]
CUT = {
    "edit": "prune",
    "modules": {
        "a": {
            "keep": {"weight": {"0": KEPT}, "bias": {"0": KEPT}},
            "set": {"out_channels": 4},
        },
        "norm": {
            "keep": {n: {"0": KEPT} for n in ("weight", "bias", "running_mean", "running_var")},
            "set": {"num_features": 4},
        },
        "b": {"keep": {"weight": {"1": KEPT}}, "set": {"in_features": 4}},
    },
}
RUN = """
import hashlib, sys
import numpy as np
from pathlib import Path
from edgeopt.formats import format_named
x = np.random.default_rng(1).normal(size=(4, 3, 9)).astype(np.float32)
found = format_named("torch").runner(Path(sys.argv[1]))({"x": x})["output"]
print(hashlib.sha256(found).hexdigest())
"""


def opened(root: Path, factory: str, shape: list[int]) -> Path:
    project, artifact = root / "project", root / "artifact"
    project.mkdir()
    artifact.mkdir()
    (project / "net.py").write_text(NET)
    samples = {"x": {"shape": shape, "dtype": "float32", "layout": ""}}
    TORCH.gather({"factory": f"net.py:{factory}"}, project, artifact, samples)
    return artifact


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    return opened(tmp_path, "make", [3, 9])


@pytest.fixture
def child(parent: Path, tmp_path: Path) -> Path:
    module = TORCH.load(parent)
    edits.replay(module, [CUT])
    return edited.write(parent, module, [CUT], tmp_path / "child")


def output(folder: Path) -> np.ndarray:
    x = np.random.default_rng(1).normal(size=(4, 3, 9)).astype(np.float32)
    return TORCH.runner(folder)({"x": x})["output"]


def test_an_edited_module_is_the_same_bits_in_a_fresh_process(parent: Path, child: Path) -> None:
    assert TORCH.load(child).a.weight.shape == (4, 3, 3)
    assert TORCH.describe(child) == TORCH.describe(parent)
    before, after = TORCH.inspect(parent), TORCH.inspect(child)
    assert after.macs and before.macs and after.macs < before.macs
    fresh = subprocess.run(
        [sys.executable, "-c", RUN, str(child)], capture_output=True, text=True, check=True
    )
    assert fresh.stdout.strip() == hashlib.sha256(output(child)).hexdigest()


def test_the_agent_replays_edits_too(child: Path) -> None:
    session = Session(str(child), "cpu", 1)
    x = np.random.default_rng(1).normal(size=(4, 3, 9)).astype(np.float32)
    (found,) = session.arrays(session.call(session.prepare({"x": x})))
    np.testing.assert_array_equal(found, output(child))


def test_edits_of_a_child_are_added_to_its_parents(child: Path, tmp_path: Path) -> None:
    module = TORCH.load(child)
    again = {
        "edit": "prune",
        "modules": {"b": {"keep": {"weight": {"0": [0, 1, 2, 3, 4]}}}},
    }
    edits.replay(module, [again])
    grandchild = edited.write(child, module, [again], tmp_path / "grandchild")
    assert edits.read(grandchild) == [CUT, again]
    np.testing.assert_array_equal(output(grandchild), output(child))


def test_weights_alone_need_no_edits(parent: Path, tmp_path: Path) -> None:
    made = edited.write(parent, TORCH.load(parent), [], tmp_path / "made")
    assert not (made / edits.EDITS).exists()
    np.testing.assert_array_equal(output(made), output(parent))


def test_a_program_cannot_be_edited(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"program": "program.pt2"}))
    with pytest.raises(PassError, match="no factory") as caught:
        edited.write(tmp_path, torch.nn.Identity(), [], tmp_path / "out")
    assert "factory" in caught.value.hint and not (tmp_path / "out").exists()


def changed(*, module: str = "a", **said: Any) -> dict[str, Any]:
    return {"edit": "prune", "modules": {module: said}}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("rm -rf", "unknown edit: None"),
        ({"edit": "exec", "code": "print(1)"}, "unknown edit: 'exec'"),
        ({"edit": ["prune"]}, "unknown edit"),
        ({"edit": "prune"}, "modules is not a mapping"),
        ({"edit": "prune", "modules": {"a": 3}}, "'a' is not a mapping"),
        (changed(module="nowhere"), "no submodule 'nowhere'"),
        (changed(module="__class__"), "no submodule '__class__'"),
        (changed(keep={"weight": {"0": [0, 8]}}), "index 8 of 'weight' is out of range"),
        (changed(keep={"weight": {"0": [-1, 2]}}), "index -1 of 'weight' is out of range"),
        (changed(keep={"weight": {"0": [2, 1]}}), "ascending"),
        (changed(keep={"weight": {"0": [1, 1]}}), "ascending"),
        (changed(keep={"weight": {"0": []}}), "ascending"),
        (changed(keep={"weight": {"0": "0123"}}), "ascending"),
        (changed(keep={"weight": {"0": [True]}}), "ascending"),
        (changed(keep={"weight": {"5": [0]}}), "has no axis '5'"),
        (changed(keep={"forward": {"0": [0]}}), "no tensor 'forward'"),
        (changed(keep={"weight": 3}), "weight is not a mapping"),
        (changed(set={"forward": 3}), "'forward' cannot become 3"),
        (changed(set={"__class__": 3}), "'__class__' cannot become 3"),
        (changed(set={"training": 1}), "'training' cannot become 1"),
        (changed(set={"out_channels": "4"}), "'out_channels' cannot become '4'"),
        (changed(set={"out_channels": -4}), "'out_channels' cannot become -4"),
        (changed(set={"padding": [1, 2]}), "'padding' cannot become"),
        ({"edit": "narrow-attention", "modules": {"a": {}}}, "not a plain nn.MultiheadAttention"),
    ],
)
def test_edits_of_strangers_are_data(parent: Path, record: Any, said: str) -> None:
    whole = [{"edit": "prune", "modules": {}}, record]
    (parent / "edits.json").write_text(json.dumps(whole))
    with pytest.raises(ModelError) as caught:
        TORCH.load(parent)
    assert said in caught.value.what
    assert "edits.json, record 1" in caught.value.where


@pytest.mark.parametrize("text", ["{", "{}", "3", "[" * 100_000])
def test_a_damaged_list_of_edits_is_named(parent: Path, text: str) -> None:
    (parent / "edits.json").write_text(text)
    with pytest.raises(ModelError, match="not a list of edits"):
        TORCH.load(parent)


def test_narrow_attention_is_attention_before_it_loses_heads(tmp_path: Path) -> None:
    folder = opened(tmp_path, "attends", [6, 16])
    whole, narrow = TORCH.load(folder), TORCH.load(folder)
    record = {"edit": "narrow-attention", "modules": {"attention": {}}}
    edits.replay(narrow, [record])
    x = torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(0))
    padding = torch.tensor([[False] * 6, [False] * 4 + [True] * 2])
    mask = torch.triu(torch.ones(6, 6, dtype=torch.bool), 1)
    for options in ({}, {"key_padding_mask": padding}, {"attn_mask": mask}):
        expected, weights = whole.attention(x, x, x, **options)
        found, told = narrow.attention(x, x, x, **options)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(told, weights, rtol=1e-5, atol=1e-6)
    with pytest.raises(ModelError, match="not a plain"):
        edits.replay(narrow, [record])
