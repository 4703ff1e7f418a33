"""Exported programs: read as they are, and never a way to run code."""

from __future__ import annotations

import subprocess
import sys
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


def test_outputs_of_a_library_s_own_class_are_read_by_their_keys(tmp_path: Path) -> None:
    """Its name stands in the file; loading it so would need that library, and its code."""
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1}
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=20, num_attention_heads=2, **small)
    model = transformers.BertModel(config).eval()
    ids = torch.arange(12).reshape(2, 6)
    free = {"input_ids": {0: torch.export.Dim("batch", min=1)}}
    program = torch.export.export(model, (), {"input_ids": ids}, dynamic_shapes=free)
    torch.export.save(program, tmp_path / "net.pt2")
    folder = gathered(tmp_path / "net.pt2", tmp_path / "held")
    outputs = ["last_hidden_state", "pooler_output"]
    assert [t.name for t in TORCH.describe(folder).signature.outputs] == outputs
    code = (
        "import sys, torch\n"
        "found = torch.export.load(sys.argv[1]).module()(input_ids=torch.arange(6)[None])\n"
        "assert 'transformers' not in sys.modules\n"
        "print({name: tuple(found[name].shape) for name in found})\n"
    )
    told = subprocess.check_output([sys.executable, "-c", code, folder / "program.pt2"], text=True)
    assert told.strip() == "{'last_hidden_state': (1, 6, 8), 'pooler_output': (1, 8)}"


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
