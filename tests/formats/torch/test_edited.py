"""A changed module is written with its parent's code and all that was done to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from edgeopt.formats import format_named
from edgeopt.formats.torch import edits
from edgeopt.formats.torch.edited import check_factory, write
from edgeopt.schema.errors import PassError

TORCH = format_named("torch")
NET = "from torch import nn\ndef make(): return nn.Sequential(nn.Linear(4, 3))\n"


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    project, into = tmp_path / "project", tmp_path / "parent"
    project.mkdir()
    into.mkdir()
    (project / "net.py").write_text(NET)
    samples = {"input": {"shape": [4], "dtype": "float32", "layout": ""}}
    TORCH.gather({"factory": "net.py:make", "weights": None, "sources": []}, project, into, samples)
    return into


def test_new_weights_alone_are_the_parents_code_with_them(parent: Path, tmp_path: Path) -> None:
    module = TORCH.load(parent)
    with torch.no_grad():
        module[0].weight.fill_(2.0)
    out = write(parent, module, [], tmp_path / "out")
    assert (out / "code" / "net.py").read_text() == NET
    assert not (out / edits.EDITS).exists()
    assert (TORCH.load(out)[0].weight == 2.0).all()
    assert not (TORCH.load(parent)[0].weight == 2.0).any(), "the parent is as it was"


def test_a_program_has_no_factory_to_build_it_again(parent: Path) -> None:
    check_factory(parent)
    (parent / "model.json").write_text(json.dumps({"program": "program.pt2"}))
    with pytest.raises(PassError, match="has no factory to rebuild it with") as caught:
        check_factory(parent)
    assert "factory: 'net.py:make'" in caught.value.hint
