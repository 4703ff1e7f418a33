"""A tiny ONNX model, passes plugged in by a real entry point, and an engine to run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from plugging import write_metadata
from worker_bed import Bed

from edgeopt.engine import Engine
from edgeopt.schema.job import Job
from edgeopt.store import Store

PLUGINS = [Path(__file__).with_name(n) for n in ("plugged_in.py", "plugged_in_body.py")]


@pytest.fixture
def plugged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install ``plugged_in.py`` as a distribution with an ``edgeopt.passes`` entry point."""
    site = tmp_path / "site"
    write_metadata(site, "plugged-in", {"edgeopt.passes": {"plugged-in": "plugged_in"}})
    for file in PLUGINS:
        (site / file.name).write_text(file.read_text())
    monkeypatch.setenv("PYTHONPATH", str(site))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """``logits = x @ w`` over (batch, 4) float32, saved as an ONNX file."""
    weights = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["logits"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(weights, "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, tmp_path / "tiny.onnx")
    return tmp_path / "tiny.onnx"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An ``.npz`` with train, validation and labels; no sample stands twice."""
    x = np.random.default_rng(1).standard_normal((30, 4)).astype(np.float32)
    label = np.arange(30) % 3
    np.savez(
        tmp_path / "data.npz",
        **{"train.x": x[:20], "train.y": label[:20], "validation.x": x[20:]},
        **{"validation.y": label[20:]},
    )
    return tmp_path / "data.npz"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def engine(store: Store) -> Iterator[Engine]:
    def no_bench(*_: Any) -> tuple[str, dict[str, Any]]:
        raise AssertionError("this test benches nothing")

    with Engine(store, on_event=lambda event: None, bench=no_bench) as engine:
        yield engine


@pytest.fixture
def split_job(archive: Path) -> Callable[[str, str], Job]:
    """``split_job(role, selection)``: a job that loads a split of the archive."""

    def make(role: str, select: str) -> Job:
        return Job(
            id=f"data:{role}",
            kind="data",
            name="npz",
            params={"split": role, "select": select, "inputs": {"x": "x"}, "labels": ["y"]},
            where={"path": str(archive)},
        )

    return make


@pytest.fixture
def open_job(model: Path) -> Job:
    return Job(
        id="open",
        kind="open",
        name="onnx",
        worker="onnx",
        params={"spec": {"format": "onnx", "path": model.name}, "samples": {}},
        where={"root": str(model.parent)},
    )


@pytest.fixture
def bed(
    plugged_in: None, engine: Engine, open_job: Job, split_job: Callable[[str, str], Job]
) -> Bed:
    return Bed(engine, open_job, split_job)
