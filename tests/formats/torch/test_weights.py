"""State dicts, in every form they come in, and none that runs code."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edgeopt.formats import format_named
from edgeopt.schema.errors import ModelError

TORCH = format_named("torch")


SAMPLES = {"x": {"shape": [4], "dtype": "float32", "layout": ""}}


State = dict[str, torch.Tensor]


def gather(root: Path, weights: str = "", factory: str = "make", **more: Any) -> Path:
    into = root.parent / "artifact"
    into.mkdir(exist_ok=True)
    spec = {"factory": f"net.py:{factory}", "weights": weights or None, "sources": [], **more}
    TORCH.gather(spec, root, into, SAMPLES)
    return into


def expected(state: State, x: np.ndarray) -> np.ndarray:
    s = {name: value.numpy() for name, value in state.items()}
    normed = (x - s["norm.running_mean"]) / np.sqrt(s["norm.running_var"] + 1e-5)
    y = normed * s["norm.weight"] + s["norm.bias"]
    return y @ s["head.weight"].T + s["head.bias"]


WRAPPED: dict[str, Callable[[State], Any]] = {
    "bare": lambda state: state,
    "checkpoint": lambda state: {"epoch": 3, "model": state, "loss": 0.1},
    "state_dict": lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}},
    "compiled": lambda state: {f"_orig_mod.{k}": v for k, v in state.items()},
    "without counters": lambda state: {k: v for k, v in state.items() if "num_b" not in k},
}


@pytest.mark.parametrize("form", WRAPPED)
def test_state_dicts_are_read_in_every_wrapping(root: Path, state: State, form: str) -> None:
    torch.save(WRAPPED[form](state), root / "w.pt")
    folder = gather(root, "w.pt")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    (found,) = TORCH.runner(folder)({"x": x}).values()
    np.testing.assert_allclose(found, expected(state, x), rtol=1e-5, atol=1e-5)


def test_safetensors_are_read_and_described(root: Path, state: State) -> None:
    save_file(state, root / "w.safetensors")
    folder = gather(root, "w.safetensors")
    said = TORCH.describe(folder)
    assert said.signature.inputs[0].shape == ("batch", 4)
    assert said.signature.outputs[0].shape == ("batch", 3)
    found = TORCH.inspect(folder)
    assert (found.parameters, found.macs) == (4 + 4 + 12 + 3, 12)
    assert (folder / "code" / "parts.py").is_file(), "what the factory imports comes along"


class Bomb:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.proof),)


@pytest.mark.parametrize("save", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))])
def test_pickled_code_never_runs(root: Path, state: State, save: Any) -> None:
    proof = root / "proof"
    save({"state_dict": state, "hook": Bomb(proof)}, root / "w.pt")
    with pytest.raises(ModelError) as caught:
        gather(root, "w.pt")
    assert "w.pt" in caught.value.where
    assert not proof.exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_truncated_weights_are_refused_by_name(root: Path, state: State, name: str) -> None:
    (save_file if name.endswith("safetensors") else torch.save)(state, root / name)
    data = (root / name).read_bytes()
    (root / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError) as caught:
        gather(root, name)
    assert name in caught.value.where


def test_weights_of_another_network_are_refused_key_by_key(root: Path, state: State) -> None:
    del state["head.bias"]
    state["head.weight"] = torch.zeros(5, 4)
    state["tail"] = torch.zeros(1)
    save_file(state, root / "w.safetensors")
    with pytest.raises(ModelError) as caught:
        gather(root, "w.safetensors")
    for said in ("missing head.bias", "unexpected tail", "head.weight ([5, 4] instead of [3, 4])"):
        assert said in caught.value.what
