"""A model that is asked batch by batch answers as one that is asked at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from guarded_parts import CHANNELS, SIDE, classifier
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.formats import format_named
from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.schema.job import Arrays, Job, Outcome, Request
from edgeopt.store import Store
from edgeopt.worker.answers import POOL, Answering, answering


def described(batch: int | str = "batch", **quantized: float) -> Description:
    x = Tensor(name="x", dtype="float32", shape=(batch, 2))
    y = Tensor(name="y", dtype="int8" if quantized else "float32", shape=(batch, 2), **quantized)
    z = Tensor(name="z", dtype="float32", shape=(batch,))
    return Description(format="onnx", signature=Signature(inputs=(x,), outputs=(y, z)))


class Asked:
    """A model that keeps the sizes of the batches it was asked in."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        x = feeds["x"]
        assert x.flags.c_contiguous
        self.sizes.append(len(x))
        return {"z": x.sum(axis=1), "y": 2 * x}  # in another order than the signature's


@given(st.integers(1, 20), st.one_of(st.none(), st.integers(1, 7)),
       st.one_of(st.none(), st.integers(1, 7)))  # fmt: skip
def test_batches_change_no_answer(n: int, fixed: int | None, size: int | None) -> None:
    x = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
    run = Asked()
    y, z = Answering(described(fixed or "batch"), run, {"x": x}).outputs(size=size)
    np.testing.assert_array_equal(y, 2 * x)
    np.testing.assert_array_equal(z, x.sum(axis=1))
    step = fixed or size or n
    assert run.sizes == [step] * -(-n // step), "the last one is filled up"


def test_other_samples_may_be_asked_for() -> None:
    model = Answering(described(), Asked(), {"x": np.zeros((3, 2), np.float32)})
    y, _ = model.outputs({"x": np.ones((5, 2), np.float32)}, size=2)
    assert model.n == 3 and y.tolist() == [[2.0, 2.0]] * 5


def test_codes_come_as_real_values() -> None:
    def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"y": np.array([[-3, 7]], np.int8), "z": np.array([1.5], np.float32)}

    description = described(scale=0.5, zero_point=-3)
    y, z = Answering(description, run, {"x": np.zeros((1, 2), np.float32)}).outputs()
    assert (y.tolist(), z.tolist()) == ([[0.0, 5.0]], [1.5])


@pytest.mark.parametrize("n", [4, POOL + 10])
def test_a_requests_model_is_laid_out_and_fed_its_first_samples(tmp_path: Path, n: int) -> None:
    made = tmp_path / "made"
    made.mkdir()
    onnx.save(classifier(), made / "model.onnx")
    rng = np.random.default_rng(0)
    images = rng.standard_normal((POOL + 20, CHANNELS, SIDE, SIDE)).astype(np.float32)
    with Store(tmp_path / "store") as store, store.workdir() as workdir:
        artifact, kind = store.put_artifact(made, "onnx"), format_named("onnx")
        value = {"artifact": artifact.to_json(), "description": kind.describe(made).to_json()}
        arrays = Arrays(split="v", n=len(images), arrays={"image": store.put_array(images)})
        request = Request(
            job=Job(id="check", kind="check", name="x", params={"n": n}),
            inputs={"child": Outcome(job="m", status="ok", value=value),
                    "fed": Outcome(job="s", status="ok", value=arrays.to_json())},
            store=str(store.root), workdir=str(workdir),
        )  # fmt: skip
        model = answering(request, "child", "fed", store)
        assert model.n == n and len(model.pool["image"]) == POOL
        assert [tensor.name for tensor in model.tensors] == ["logits", "scores"]
        assert [len(output) for output in model.outputs()] == [n, n]
        assert (workdir / "child" / "model.onnx").exists()


def test_a_constant_is_fed_whole_and_says_nothing_of_the_batch() -> None:
    x, rate = np.ones((5, 2), np.float32), np.broadcast_to(np.float32(3), (5, 1))
    signature = described().signature
    one = Tensor(name="rate", dtype="float32", shape=(1,))
    both = signature.model_copy(update={"inputs": (one, *signature.inputs)})
    seen = []

    def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        seen.append((feeds["x"].shape, feeds["rate"].tolist()))
        return {"y": feeds["x"], "z": feeds["x"][:, 0]}

    model = Answering(
        described().model_copy(update={"signature": both}), run, {"x": x, "rate": rate},
        axes={"rate": None},
    )  # fmt: skip
    assert model.batch is None and model.n == 5
    model.outputs(size=3)
    assert seen == [((3, 2), [3.0]), ((3, 2), [3.0])]


def test_one_answer_for_a_batch_is_that_of_each_sample() -> None:
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    x, y = (Tensor(name=n, dtype="float32", shape=("batch", 2)) for n in "xy")
    outputs = (y, Tensor(name="table", dtype="float32", shape=(3, 2)))
    said = Description(format="onnx", signature=Signature(inputs=(x,), outputs=outputs))
    model = Answering(
        said, lambda feeds: {"y": feeds["x"], "table": table}, {"x": np.ones((5, 2), np.float32)}
    )
    for size in (1, 2, 3, None):
        _, tables = model.outputs(size=size)
        np.testing.assert_array_equal(tables, np.repeat(table[np.newaxis], 5, axis=0))
