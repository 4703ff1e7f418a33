"""Exported programs: read as they are, and never a way to run code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from program_files import TORCH, Net, gathered, saved
from torch import nn

from edgeopt.agent.sessions.torch import Session
from edgeopt.formats import format_of
from edgeopt.schema.errors import ModelError


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("fixed", [True, False])
def test_a_program_answers_as_its_module(tmp_path: Path, by_name: bool, fixed: bool) -> None:
    path = saved(tmp_path / "net.pt2", by_name=by_name, fixed=fixed)
    folder = gathered(path, tmp_path / "held")
    found = TORCH.describe(folder)
    batch = 2 if fixed else "batch"
    assert [(t.name, t.shape) for t in found.signature.inputs] == [
        ("x", (batch, 4)),
        ("gain", (batch, 1)),
    ]
    assert [t.name for t in found.signature.outputs] == ["scores", "flat"]
    assert ("static-batch" in found.facts) is fixed
    n = 2 if fixed else 5
    rng = np.random.default_rng(0)
    feeds = {"x": rng.normal(size=(n, 4)), "gain": rng.normal(size=(n, 1))}
    feeds = {name: array.astype(np.float32) for name, array in feeds.items()}
    with torch.inference_mode():
        want = Net().eval()(*(torch.from_numpy(array) for array in feeds.values()))
    ran = TORCH.runner(folder)(feeds)
    session = Session(str(folder), "cpu", 1)
    asked = session.arrays(session.call(session.prepare(feeds)))
    for name, other in zip(("scores", "flat"), asked, strict=True):
        np.testing.assert_allclose(ran[name], want[name].numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(other, want[name].numpy(), rtol=1e-5, atol=1e-6)
    assert TORCH.inspect(folder).parameters == 4 * 2 + 4 * 3 + 3


def test_other_files_of_torch_are_named(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "script.pt")
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "weights.pt")
    for name, said in (("script.pt", "TorchScript"), ("weights.pt", "no network")):
        assert format_of(tmp_path / name) == "torch"
        with pytest.raises(ModelError, match=said) as caught:
            TORCH.sources({"path": name}, tmp_path)
        assert "factory" in caught.value.hint
        (tmp_path / name).rename(tmp_path / f"{name}2")
        with pytest.raises(ModelError, match=r"TorchScript|checkpoint"):
            gathered(tmp_path / f"{name}2", tmp_path / f"held-{name}")
