"""Numbers in place of arrays: what they bind to, and what no input can hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeopt.data.constants import Constant, arrays_named, constants_of
from edgeopt.data.tensors import bind, layouts_read, make_tensors, sample_inputs
from edgeopt.schema.artifact import Signature, Tensor
from edgeopt.schema.errors import DataError
from edgeopt.schema.job import Arrays
from edgeopt.store import Store

X = np.arange(12, dtype=np.float32).reshape(6, 2)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


def raw_of(store: Store) -> Arrays:
    return Arrays(split="test", n=6, arrays={"x": store.put_array(X)})


def takes(dtype: str, *shape: int | str) -> Signature:
    x = Tensor(name="x", dtype="float32", shape=("batch", 2))
    return Signature(inputs=(Tensor(name="rate", dtype=dtype, shape=shape), x), outputs=())


def fed(store: Store, signature: Signature, inputs: Any) -> tuple[Arrays, Any]:
    raw = raw_of(store)
    tensors = make_tensors(raw, {"bind": bind(raw, [], signature, inputs)}, store)
    return tensors, store.get_array(tensors.arrays["rate"])


@pytest.mark.parametrize(
    ("dtype", "shape", "value"),
    [
        ("int64", (), 16000), ("float32", (1,), 0.5), ("bool", (), True), ("uint8", (1, 2), 7),
        ("float32", (3,), True),
    ],
)  # fmt: skip
def test_a_constant_fills_the_input_and_has_its_dtype(
    store: Store, dtype: str, shape: tuple[int, ...], value: Constant
) -> None:
    tensors, rate = fed(store, takes(dtype, *shape), {"rate": value})
    assert (rate.dtype, rate.shape) == (np.dtype(dtype), shape) and (rate == value).all()
    assert (tensors.n, tensors.axes) == (6, {"rate": None})
    assert tensors.arrays["x"].shape == (6, 2), "arrays are matched by name beside it"


def test_an_input_with_a_free_batch_takes_it_with_each_sample(store: Store) -> None:
    tensors, rate = fed(store, takes("float32", "batch", 1), {"rate": 2, "x": "x"})
    assert rate.shape == (6, 1) and (rate == 2).all() and not tensors.axes


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("int64", 0.5), ("uint8", 300), ("uint8", -1), ("bool", 2), ("float16", 1e6),
     ("float32", 2**24 + 1), ("int64", 2**70)],
)  # fmt: skip
def test_what_an_input_cannot_hold_is_refused(dtype: str, value: Constant) -> None:
    raw = Arrays(split="test", n=6, arrays={})
    with pytest.raises(DataError, match=f"'rate' takes {dtype}, which cannot hold the constant"):
        bind(raw, [], Signature(inputs=takes(dtype).inputs[:1], outputs=()), {"rate": value})


@pytest.mark.parametrize("shape", [("batch", "time"), (1, "time")])
def test_a_constant_of_a_free_size_is_refused(store: Store, shape: tuple[int | str, ...]) -> None:
    with pytest.raises(DataError, match="does not say how large time is"):
        bind(raw_of(store), [], takes("float32", *shape), {"rate": 2})


def test_an_input_that_the_model_does_not_have_is_named(store: Store) -> None:
    with pytest.raises(DataError, match="no input 'rat'"):
        bind(raw_of(store), [], takes("float32"), {"rat": 2})


def test_another_constant_is_another_digest_and_samples_keep_theirs(store: Store) -> None:
    one, other = (fed(store, takes("int64"), {"rate": v})[0] for v in (16000, 8000))
    whole = Arrays(split="test", n=6, arrays=one.arrays)
    assert len({one.digest, other.digest, whole.digest}) == 3
    assert one.arrays["x"] == other.arrays["x"]


def test_constants_have_no_layout(store: Store) -> None:
    assert layouts_read(raw_of(store), takes("int64"), {"rate": 3}, None) == {"x": ""}


def test_a_network_without_a_signature_is_told_the_constant(store: Store) -> None:
    samples = sample_inputs(raw_of(store), [], {"rate": 3, "x": "x"})
    assert samples["x"]["shape"] == [2]
    rate = samples["rate"]
    assert (rate["shape"], rate["dtype"], rate["constant"]) == ([], "int64", 3)
    assert [other["dtype"] for other in rate["else"]] == ["float32"]


def test_arrays_and_constants_are_told_apart() -> None:
    given = {"image": "images", "rate": 16000, "flip": False}
    assert arrays_named(given) == {"image": "images"}
    assert constants_of(given) == {"rate": 16000, "flip": False}
    assert arrays_named({"rate": 1}) is None and constants_of(None) == {}
