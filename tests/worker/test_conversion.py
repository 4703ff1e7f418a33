"""What a runtime here makes of a file: by whom, of what, and why the file tells instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeopt.formats import format_named
from edgeopt.schema.conversion import BY_FILE, Conversion
from edgeopt.schema.errors import ModelError
from edgeopt.schema.job import Arrays, Job, Outcome, Request
from edgeopt.store import Store
from edgeopt.worker.conversion import conversion

Ask = Callable[..., Conversion | None]


def network(int8: bool) -> onnx.ModelProto:
    """A linear layer whose weights are held in 8 bits, or in float32."""
    held = [numpy_helper.from_array(np.ones((4, 3), np.int8 if int8 else np.float32), "w"),
            numpy_helper.from_array(np.array(0.5, np.float32), "scale")]  # fmt: skip
    nodes = [helper.make_node("MatMul", ["x", "dq" if int8 else "w"], ["y"])]
    if int8:
        nodes.insert(0, helper.make_node("DequantizeLinear", ["w", "scale"], ["dq"]))
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "net", [info("x", TensorProto.FLOAT, ["batch", 4])],
        [info("y", TensorProto.FLOAT, ["batch", 3])], held[: 1 + int8],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def ask(store: Store, tmp_path: Path) -> Ask:
    """``ask(model, runtime=, samples=, by=, note=)``."""

    def asked(
        model: onnx.ModelProto,
        runtime: str = "",
        samples: np.ndarray | None = None,
        by: str = "",
        note: str = "",
    ) -> Conversion | None:
        made = tmp_path / "made"
        made.mkdir(exist_ok=True)
        onnx.save(model, made / "model.onnx")
        value = {"artifact": store.put_artifact(made, "onnx").to_json(),
                 "description": format_named("onnx").describe(made).to_json()}  # fmt: skip
        inputs: dict[str, Any] = {"model": Outcome(job="m", status="ok", value=value)}
        if samples is not None:
            arrays = Arrays(split="v", n=len(samples), arrays={"x": store.put_array(samples)})
            inputs["samples"] = Outcome(job="s", status="ok", value=arrays.to_json())
        params = {"runtime": runtime, "by": by, "note": note}
        job = Job(id="c", kind="analysis", name="conversion", params=params)
        with store.workdir() as workdir:
            request = Request(job=job, inputs=inputs, store=str(store.root), workdir=str(workdir))
            raw = conversion(request, store, None)[1]["conversion"]
        return Conversion.model_validate(raw) if raw else None

    return asked


def test_the_file_tells_what_it_holds_where_no_runtime_is_asked(ask: Ask) -> None:
    found = ask(network(int8=True), note="the target is elsewhere")
    assert found is not None
    assert (found.form, found.weights, found.by) == ("int8", 1.0, BY_FILE)
    assert found.note == "the target is elsewhere"


def test_a_runtime_is_named_with_its_version_where_it_told(ask: Ask) -> None:
    x = np.ones((5, 4), np.float32)
    found = ask(network(int8=True), "onnxruntime", x, by="onnxruntime 1.2 on here")
    assert found is not None and (found.by, found.note) == ("onnxruntime 1.2 on here", "")


def test_a_runtime_that_fails_leaves_the_word_to_the_file(ask: Ask) -> None:
    x = np.ones((5, 7), np.float32)  # seven values, where it takes four
    found = ask(network(int8=True), "onnxruntime", x, by="onnxruntime 1.2 on here")
    assert found is not None and found.by == BY_FILE
    assert found.note.startswith("onnxruntime could not be asked: ")


def test_a_float_model_has_nothing_to_tell(ask: Ask) -> None:
    assert ask(network(int8=False)) is None


def test_a_file_that_cannot_be_read_is_an_error(ask: Ask, tmp_path: Path, store: Store) -> None:
    made = tmp_path / "bad"
    made.mkdir()
    (made / "model.onnx").write_bytes(b"no model")
    description = {"format": "onnx", "signature": {"inputs": [], "outputs": []}, "facts": ["int8"]}
    value = {"artifact": store.put_artifact(made, "onnx").to_json(), "description": description}
    job = Job(id="c", kind="analysis", name="conversion",
              params={"runtime": "", "by": "", "note": ""})  # fmt: skip
    with store.workdir() as workdir:
        request = Request(
            job=job, inputs={"model": Outcome(job="m", status="ok", value=value)},
            store=str(store.root), workdir=str(workdir),
        )  # fmt: skip
        with pytest.raises(ModelError):
            conversion(request, store, None)
