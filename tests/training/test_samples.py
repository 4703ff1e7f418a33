from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.schema.errors import DataError
from edgeopt.training import Samples
from edgeopt.training.samples import Target, derived

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.array([0, 1, 2, 0, 1, 2], np.int32)
PRICE = np.linspace(0, 1, 6)


def two() -> Samples:
    return Samples({"x": X}, None, (Target(1, "price", PRICE), Target(0, "kind", Y)))


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 9))
def test_an_epoch_sees_each_sample_at_most_once_and_almost_all(
    count: int, batch: int, seed: int
) -> None:
    samples = Samples({"x": np.zeros((count, 1), np.float32)})
    steps = samples.steps_per_epoch(batch)
    first = np.concatenate([samples.at_step(seed, s, batch) for s in range(steps)])
    assert len(set(first)) == len(first) > count - batch


def test_every_epoch_has_an_order_of_its_own() -> None:
    samples = Samples({"x": np.zeros((30, 1), np.float32)})
    orders = [samples.at_step(seed, step, 30).tolist() for seed in (0, 1) for step in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert samples.at_step(0, 1, 30).tolist() == orders[1], "whatever was asked for before"


def test_labels_alone_are_those_of_the_first_output() -> None:
    samples = Samples({"x": X}, Y)
    assert samples.targets == (Target(0, "", Y),) and samples.classes
    assert two().labels is PRICE and not two().classes, "one of values to predict"
    assert Samples({"x": X}).labels is None and not Samples({"x": X}).classes


@pytest.mark.parametrize(
    ("inputs", "labels", "said"),
    [
        ({}, None, "no samples to train on"),
        ({"x": X[:0]}, None, "no samples to train on"),
        ({"x": X}, Y[:0], "no samples to train on"),
        ({"x": X, "z": X[:5]}, None, "arrays of different lengths: {'x': 6, 'z': 5}"),
        ({"x": X}, Y[:4], "arrays of different lengths: {'x': 6, 'labels': 4}"),
    ],
)
def test_samples_that_do_not_fit_are_refused(inputs: Any, labels: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        Samples(inputs, labels)
    assert said in caught.value.what


def test_a_batch_is_copied_and_in_torch_s_own_types() -> None:
    batch = two().take(np.array([4, 0]), step=7)
    assert batch.inputs["x"].tolist() == [[8, 9], [0, 1]] and batch.step == 7
    assert batch.index.tolist() == [4, 0] and batch.index.dtype == torch.int64
    price, kind = batch.targets
    assert price.labels.dtype == torch.float32 and kind.labels.dtype == torch.int64
    assert batch.labels is price.labels
    batch.inputs["x"][:] = -1
    assert X.min() == 0, "the arrays stay"


def test_a_step_of_the_user_s_own_gets_labels_by_output_where_there_are_several() -> None:
    index = np.array([1, 2])
    labels = two().take(index).given_labels
    assert set(labels) == {"price", "kind"} and labels["kind"].tolist() == [1, 2]
    assert Samples({"x": X}, Y).take(index).given_labels.tolist() == [1, 2]
    assert Samples({"x": X}).take(index).given_labels is None


def test_a_batch_moves_with_all_it_holds() -> None:
    moved = two().take(np.array([0])).to("meta")
    assert moved.inputs["x"].device.type == moved.labels.device.type == "meta"
    assert [t.labels.device.type for t in moved.targets] == ["meta", "meta"]
    assert Samples({"x": X}).take(np.array([0])).to("meta").labels is None


def test_a_digest_tells_samples_and_labels_apart() -> None:
    moved, other = X.copy(), Y.copy()
    moved[5, 1] += 1
    other[3] += 1
    made = [
        Samples({"x": X}), Samples({"x": X}, Y), Samples({"x": moved}, Y), Samples({"x": X}, other),
        Samples({"z": X}, Y), Samples({"x": X.reshape(6, 1, 2)}, Y), two(),
    ]  # fmt: skip
    assert len({each.digest() for each in made}) == len(made)
    assert Samples({"x": X.copy()}, Y.copy()).digest() == made[1].digest()


def test_derived_bits_depend_on_all_three() -> None:
    made = {derived(s, stream, n) for s in (0, 1) for stream in ("a", "b") for n in (0, 1)}
    assert len(made) == 8 and all(0 <= each < 2**63 for each in made)
    assert derived(0, "a", 1) == derived(0, "a", 1)


def test_a_constant_comes_once_with_every_batch() -> None:
    rate = np.broadcast_to(np.float32(3), (6,))
    batch = Samples({"x": X, "rate": rate}, axes={"rate": None}).take(np.array([1, 4]))
    assert batch.inputs["rate"].shape == () and float(batch.inputs["rate"]) == 3
    assert batch.inputs["x"].tolist() == X[[1, 4]].tolist()
