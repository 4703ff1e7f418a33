"""torch sources: factory and weights, in every form they come in, and none that runs code."""

from __future__ import annotations

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


def test_the_folder_alone_is_enough(root: Path, state: State) -> None:
    save_file(state, root / "w.safetensors")
    folder = gather(root, "w.safetensors")
    for file in root.iterdir():
        file.unlink()
    assert TORCH.runner(folder)({"x": np.zeros((1, 4), np.float32)})


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("half", "float16"),
        ("number", "returns a int"),
        ("broken", "never"),
        ("absent", "absent"),
    ],
)
def test_factories_that_make_no_source_are_refused(root: Path, factory: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        gather(root, factory=factory)
