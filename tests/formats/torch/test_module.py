"""A live module: its inputs, its outputs, and one run."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeopt.formats import format_named
from edgeopt.schema.errors import ModelError

TORCH = format_named("torch")


SAMPLES = {"x": {"shape": [4], "dtype": "float32", "layout": ""}}


def test_inputs_must_be_those_of_forward(root: Path) -> None:
    spec = {"factory": "net.py:make", "weights": None, "sources": []}
    into = root.parent / "artifact"
    into.mkdir()
    with pytest.raises(ModelError, match="no input 'image'; forward takes x"):
        TORCH.gather(spec, root, into, {"image": SAMPLES["x"]})
