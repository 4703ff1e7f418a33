"""What a score kept, read back by the signature's names; and labels as they are named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeopt.data.outputs import kept_labels, kept_outputs
from edgeopt.schema.artifact import Tensor
from edgeopt.schema.errors import ModelError
from edgeopt.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def test_outputs_are_named_by_position_and_codes_are_real_values(store: Store) -> None:
    codes, scores = np.array([[1, 3]], np.int8), np.array([[0.5]], np.float32)
    value = {
        "outputs": {"b": store.put_array(codes).to_json(), "a": store.put_array(scores).to_json()},
        "order": ["a", "b"],
    }
    tensors = [
        Tensor(name="scores", dtype="float32", shape=("batch", 1)),
        Tensor(name="boxes", dtype="int8", shape=("batch", 2), scale=0.5, zero_point=1),
    ]
    found = kept_outputs(value, tensors, store)
    assert list(found) == ["scores", "boxes"]
    assert found["scores"].tolist() == [[0.5]] and found["boxes"].tolist() == [[0.0, 1.0]]
    with pytest.raises(ModelError, match=r"gave 2 outputs, not \['scores'\]") as caught:
        kept_outputs(value, tensors[:1], store, "the-job")
    assert caught.value.where == "the-job"


def test_outputs_of_the_signature_s_names_are_taken_by_name(store: Store) -> None:
    """Guards against a session that lists its outputs in another order than the model."""
    one, two = np.array([[1.0]], np.float32), np.array([[2.0]], np.float32)
    value = {
        "outputs": {"b": store.put_array(two).to_json(), "a": store.put_array(one).to_json()},
        "order": ["b", "a"],
    }
    tensors = [Tensor(name=name, dtype="float32", shape=("batch", 1)) for name in "ab"]
    found = kept_outputs(value, tensors, store)
    assert {name: array.item() for name, array in found.items()} == {"a": 1.0, "b": 2.0}


def test_labels_come_in_the_form_that_they_are_named_in(store: Store) -> None:
    refs = {"y": store.put_array(np.arange(3)), "z": store.put_array(np.ones(3))}
    assert kept_labels(None, refs, store) is None
    assert kept_labels("y", refs, store).tolist() == [0, 1, 2]
    found = kept_labels({"scores": "z", "more": "y"}, refs, store)
    assert {name: array.tolist() for name, array in found.items()} == {
        "scores": [1.0] * 3, "more": [0, 1, 2],
    }  # fmt: skip
    with pytest.raises(KeyError):
        kept_labels("none", refs, store)
