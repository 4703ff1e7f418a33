"""Wrong answers, each planted in a model that a pass makes or a user brings, each named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from guarded_parts import CHANNELS, SIDE, SPOILERS, classifier

from edgeopt.engine import Engine
from edgeopt.schema.artifact import DYNAMIC, Description, Signature, Tensor
from edgeopt.schema.job import Arrays, Job, Outcome
from edgeopt.step import APPROXIMATE, EXACT, Promise
from edgeopt.store import Store
from edgeopt.worker.answers import Answering
from edgeopt.worker.guards import entangled

N = 16


def opened(engine: Engine, folder: Path, name: str, model: onnx.ModelProto) -> Outcome:
    """A model as the artifact of a job ``name``."""
    onnx.save(model, folder / f"{name}.onnx")
    job = Job(
        id=name, kind="open", name="onnx", worker="onnx",
        params={"spec": {"format": "onnx", "path": f"{name}.onnx"}, "samples": {}},
        where={"root": str(folder)},
    )  # fmt: skip
    outcome = engine.run([job], {})[name]
    assert outcome.ok, outcome.error
    return outcome


def samples(store: Store, images: np.ndarray) -> Outcome:
    arrays = Arrays(split="validation", n=len(images), arrays={"image": store.put_array(images)})
    value = arrays.to_json()
    return Outcome(job="samples", status="ok", digest=arrays.digest, value=value)


@pytest.fixture
def images() -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.standard_normal((N, CHANNELS, SIDE, SIDE)).astype(np.float32)


def checked(
    engine: Engine, folder: Path, child: onnx.ModelProto, promise: Promise, fed: Outcome
) -> Outcome:
    """The check of a pass that made ``child`` of the sound classifier."""
    known = {"samples": fed}
    known |= {name: opened(engine, folder, name, model)
              for name, model in (("parent", classifier()), ("child", child))}  # fmt: skip
    job = Job(
        id="check:spoil", kind="check", name="spoil", worker="onnx",
        params={"promise": promise.to_json(), "n": N},
        inputs={"parent": "parent", "child": "child", "samples": "samples",
                "child_samples": "samples"},
    )  # fmt: skip
    return engine.run([job], known)[job.id]


@pytest.mark.parametrize("promise", [APPROXIMATE, EXACT], ids=str)
@pytest.mark.parametrize("name", SPOILERS)
def test_what_a_pass_spoils_is_named(
    engine: Engine, store: Store, tmp_path: Path, images: np.ndarray, name: str, promise: Promise
) -> None:
    spoil, said = SPOILERS[name]
    child = classifier()
    spoil(child)
    outcome = checked(engine, tmp_path, child, promise, samples(store, images))
    assert outcome.status == "failed" and outcome.error is not None
    assert outcome.error["type"] == "PassError"
    assert said in outcome.error["what"] and outcome.error["what"].startswith("spoil made a model")
    assert outcome.error["hint"]


def test_an_honest_copy_passes(
    engine: Engine, store: Store, tmp_path: Path, images: np.ndarray
) -> None:
    outcome = checked(engine, tmp_path, classifier(), EXACT, samples(store, images))
    assert outcome.ok, outcome.error


def test_equal_samples_prove_nothing(
    engine: Engine, store: Store, tmp_path: Path, images: np.ndarray
) -> None:
    same = samples(store, np.repeat(images[:1], N, axis=0))
    child = classifier()
    SPOILERS["still"][0](child)
    outcome = checked(engine, tmp_path, child, APPROXIMATE, same)
    assert outcome.error is None or "same output" not in outcome.error["what"]


@pytest.mark.parametrize("name", ["still", "random", "entangled"])
@pytest.mark.parametrize("fixed", [None, 4], ids=["free batch", "batch of 4"])
def test_a_source_that_answers_wrongly_is_named(
    engine: Engine, store: Store, tmp_path: Path, images: np.ndarray, name: str, fixed: int | None
) -> None:
    source = classifier(fixed)
    SPOILERS[name][0](source)
    if name == "still":  # of all outputs, not only of one
        for tensor in source.graph.initializer:
            if tensor.name == "v":
                zeros = np.zeros(tuple(tensor.dims), np.float32)
                tensor.CopyFrom(onnx.numpy_helper.from_array(zeros, "v"))
    known = {
        "source": opened(engine, tmp_path, "source", source),
        "samples": samples(store, images),
    }
    job = Job(
        id="check:source", kind="check", name="source", worker="onnx", params={"n": N},
        inputs={"model": "source", "samples": "samples"},
    )  # fmt: skip
    outcome = engine.run([job], known)[job.id]
    expected = SPOILERS[name][1].replace("batch of 16", f"batch of {fixed or N}")
    assert outcome.error is not None and outcome.error["type"] == "ModelError"
    assert outcome.error["what"].startswith("the source ") and expected in outcome.error["what"]


@pytest.mark.parametrize("dynamic", [True, False])
def test_ranges_of_a_whole_batch_are_told_and_no_fault_where_they_are_meant(dynamic: bool) -> None:
    def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        step = np.abs(feeds["x"]).max() / 4
        return {"y": np.round(feeds["x"] / step) * step}

    x, y = (Tensor(name=name, dtype="float32", shape=("batch", 2)) for name in ("x", "y"))
    facts = frozenset({"int8", DYNAMIC} if dynamic else {"int8"})
    description = Description(
        format="onnx", signature=Signature(inputs=(x,), outputs=(y,)), facts=facts
    )
    values = np.linspace(0.1, 1.0, 2 * N).reshape(N, 2)
    values[N - 1] = 3.0  # among it, the first ones round to other steps
    model = Answering(description, run, {"x": values})
    found = entangled(model, model.outputs())
    assert found is not None and found.fatal != dynamic
    assert ("range of its activations" in found.hint) == dynamic


@pytest.mark.parametrize("quantized", [True, False], ids=["fake-quantized", "float32"])
def test_a_sum_that_rounds_the_other_way_in_a_batch_is_a_fault_of_real_numbers_only(
    quantized: bool,
) -> None:
    step = 1 / 64

    def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        sums = feeds["x"] + 1e-6 * len(feeds["x"])  # the order of a sum follows the batch
        return {"y": np.round(sums / step) * step}

    x, y = (Tensor(name=name, dtype="float32", shape=("batch", 2)) for name in ("x", "y"))
    facts = frozenset({"fake-quantized", "qat-int8"} if quantized else {"float32"})
    description = Description(
        format="torch", signature=Signature(inputs=(x,), outputs=(y,)), facts=facts
    )
    halfway = np.array([[2.5 * step - 1e-5, 1.0]] * N)  # rounds up in a batch, down alone
    model = Answering(description, run, {"x": halfway})
    found = entangled(model, model.outputs())
    assert (found is None) == quantized
