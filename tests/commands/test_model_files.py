"""Model files without a recipe: opened in a worker, and fed what the first one is fed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from passes_bench import network

from edgeopt.commands.model_files import fed, fed_with, opened, runnable
from edgeopt.engine import Engine
from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.schema.errors import DataError, ModelError, UsageError
from edgeopt.schema.job import Arrays
from edgeopt.schema.target import parse_target
from edgeopt.store import Store

FIRST, OTHER = Path("first.onnx"), Path("other.tflite")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def described(**inputs: tuple[int | str, ...]) -> Description:
    layouts = {n: "NHWC" if s[-1] == 3 else "NCHW" if len(s) == 3 else ""
               for n, s in inputs.items()}  # fmt: skip
    tensors = tuple(
        Tensor(name=n, dtype="float32", shape=("batch", *s), layout=layouts[n])
        for n, s in inputs.items()
    )
    return Description(format="onnx", signature=Signature(inputs=tensors, outputs=()))


def samples(store: Store, **arrays: np.ndarray) -> Arrays:
    refs = {name: store.put_array(array) for name, array in arrays.items()}
    return Arrays(split="benchmark", n=len(next(iter(arrays.values()))), arrays=refs)


def test_a_file_is_opened_in_a_worker_and_named_by_its_place(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(network(), path)

    def no_bench(*_: Any) -> tuple[str, dict[str, Any]]:
        raise AssertionError("nothing is measured here")

    with Engine(store, on_event=lambda _event: None, bench=no_bench) as engine:
        outcome = opened(engine, path, 3)
        assert outcome.job == f"open:3:{path}"
        path.write_bytes(b"no model")
        with pytest.raises(ModelError, match=r"net\.onnx"):
            opened(engine, path, 0)
    raw = samples(store, x=np.zeros((2, 8, 12, 12), np.float32))
    target = parse_target("local/onnxruntime")
    side = runnable(outcome, target)
    assert (side.target, side.model) == (target, outcome.job)
    assert side.samples == fed_with(outcome, raw).job
    assert fed_with(outcome, raw).value == raw.to_json()


def test_the_same_images_are_fed_in_each_files_layout(store: Store) -> None:
    images = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    first = described(image=(3, 4, 5)).signature
    found = fed(
        OTHER, FIRST, samples(store, image=images), first, described(input=(4, 5, 3)), store
    )
    np.testing.assert_array_equal(
        store.get_array(found.arrays["input"]), images.transpose(0, 2, 3, 1)
    )


def test_inputs_go_by_name_where_they_can(store: Store) -> None:
    raw = samples(store, a=np.zeros((2, 4), np.float32), b=np.ones((2, 5), np.float32))
    first = described(a=(4,), b=(5,)).signature
    found = fed(OTHER, FIRST, raw, first, described(b=(5,), a=(4,)), store)
    assert store.get_array(found.arrays["a"]).shape == (2, 4)
    by_place = fed(OTHER, FIRST, raw, first, described(x=(4,), y=(5,)), store)
    assert store.get_array(by_place.arrays["y"]).tolist() == [[1.0] * 5] * 2


@pytest.mark.parametrize("inputs", [{"a": (7,)}, {"a": (4,), "c": (4,)}])
def test_files_of_other_inputs_cannot_race(
    store: Store, inputs: dict[str, tuple[int, ...]]
) -> None:
    raw, first = samples(store, a=np.zeros((2, 4), np.float32)), described(a=(4,)).signature
    with pytest.raises(UsageError, match=r"its inputs differ from those of first\.onnx") as caught:
        fed(OTHER, FIRST, raw, first, described(**inputs), store)
    assert caught.value.where == str(OTHER) and caught.value.hint


def test_samples_that_do_not_fit_the_first_are_its_own_error(store: Store) -> None:
    raw = samples(store, a=np.zeros((2, 3, 4, 5), np.float32))
    with pytest.raises(DataError) as caught:
        fed(OTHER, FIRST, raw, described(a=(7,)).signature, described(a=(7,)), store)
    assert caught.value.where == str(FIRST)
