"""Samples of a user's function: every form, by split or as one stream, and what goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeopt.data.load import load_split
from edgeopt.schema.errors import DataError
from edgeopt.schema.job import Arrays
from edgeopt.store import Store

LOADER = """
import itertools
import numpy as np
from helper import OFFSET

def by_split(split):
    n = {"train": 6, "validation": 4}[split]
    return {"x": np.arange(n * 2.0).reshape(n, 2) + OFFSET, "label": np.arange(n)}

def stream():
    for i in itertools.count():
        yield {"x": np.full(2, i, np.float32), "y": i % 3}

def pairs():
    return [(np.full(3, i, np.float32), i) for i in range(8)]

def whole():
    return np.arange(12.0).reshape(6, 2), np.arange(6)

def several():
    return [(np.full(3, i, np.float32), i, i % 3) for i in range(8)]

def short():
    yield from pairs()[:3]

def raises():
    yield np.zeros(2)
    raise OSError("the disk is gone")

def ragged():
    yield {"x": np.zeros(2)}
    yield {"x": np.zeros(3)}

def fails():
    raise ValueError("no table")

def number():
    return 3
"""


@pytest.fixture
def load(tmp_path: Path) -> Any:
    (tmp_path / "loader.py").write_text(LOADER)
    (tmp_path / "helper.py").write_text("OFFSET = 100\n")
    store = Store(tmp_path / "store")

    def loaded(
        name: str, select: str, inputs: Any = None, labels: tuple[str, ...] = ("label",)
    ) -> tuple[Arrays, dict[str, np.ndarray]]:
        params = {"split": "validation", "select": select, "inputs": inputs, "labels": labels}
        where = {"function": f"loader.py:{name}", "root": str(tmp_path)}
        found = load_split(params, where, store)
        arrays = {name: store.get_array(ref) for name, ref in found.arrays.items()}
        if found.labels:
            arrays["label"] = store.get_array(found.labels["label"])
        return found, arrays

    return loaded


def test_a_function_of_a_split(load: Any) -> None:
    found, arrays = load("by_split", "train[2:5]")
    assert found.n == 3 and arrays["label"].tolist() == [2, 3, 4]
    assert arrays["x"][0].tolist() == [104.0, 105.0]


def test_an_endless_stream_is_read_as_far_as_asked(load: Any) -> None:
    _, arrays = load("stream", "samples[10:14]")
    assert arrays["x"][:, 0].tolist() == [10, 11, 12, 13] and arrays["label"].tolist() == [
        1,
        2,
        0,
        1,
    ]


def test_samples_and_arrays_by_position(load: Any) -> None:
    _, arrays = load("pairs", "samples", {"image": "pixels"})
    assert arrays["pixels"].shape == (8, 3) and arrays["label"].tolist() == list(range(8))
    _, arrays = load("whole", "samples[1:3]", {"image": "pixels"})
    assert arrays["pixels"].tolist() == [[2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("name", "select", "said"),
    [
        ("raises", "samples[:5]", r"raised OSError: the disk is gone \(.*loader.py:\d+\)"),
        ("ragged", "samples[:5]", r"'x' is float64\[3\], the first one was float64\[2\]"),
        ("fails", "samples[:5]", r"raised ValueError: no table \(.*loader.py:\d+\)"),
        ("short", "samples[:5]", "yields 3 samples"),
        ("several", "samples[:5]", "3 parts, where input and a label were expected"),
        ("number", "samples[:5]", "gives a int, not samples"),
        ("stream", "train[:5]", "takes no split, but 'train' was requested"),
        ("absent", "samples[:5]", "no callable 'absent'"),
        ("by_split", "tset", r"raised KeyError"),
    ],
)
def test_what_goes_wrong_is_named(load: Any, name: str, select: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        load(name, select, labels=())
    assert "loader.py" in caught.value.where
