"""A small ONNX classifier on its way through a run: read, planned and built, once for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeopt.bench.jobs import run_bench
from edgeopt.decide.entry import Entry
from edgeopt.engine import Engine
from edgeopt.pipeline.entries import entries_of
from edgeopt.pipeline.measure import Bench
from edgeopt.pipeline.prepare import prepare
from edgeopt.pipeline.work import Work
from edgeopt.planner import Known, make_plan
from edgeopt.recipe import Recipe, load_recipe
from edgeopt.schema.job import Outcome
from edgeopt.schema.plan import Plan
from edgeopt.store import Store

RECIPE = """\
model: m.onnx
data:
  source: d.npz
  inputs: {x: samples}
  label: label
  slices: [colour]
  splits: {calibration: train, validation: validation, test: test}
  classes: [red, green, blue]
targets: [local/onnxruntime]
objective: size
constraints: ["accuracy >= source - 50pt"]
passes:
  - simplify-onnx
  - one_of: [none, {quantize-int8: {scheme: s8s8}}]
"""


class Built(NamedTuple):
    """What the session's run came to."""

    recipe: Recipe
    known: Known
    engine: Engine
    store: Store
    outcomes: dict[str, Outcome]
    plan: Plan


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recipe, model and data: scores of three classes, nine of ten labels right."""
    folder = tmp_path_factory.mktemp("project")
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(size=(6, 8)), "b": rng.normal(size=8), "v": rng.normal(size=(8, 3))}
    held = {name: array.astype(np.float32) for name, array in weights.items()}
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "w", "b"], ["h"]),
            helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("MatMul", ["r", "v"], ["scores"]),
        ],
        "net",
        [info("x", TensorProto.FLOAT, ["batch", 6])],
        [info("scores", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / "m.onnx")
    arrays = {}
    for split, n in (("train", 24), ("validation", 40), ("test", 40)):
        x = rng.normal(size=(n, 6)).astype(np.float32)
        scores = np.maximum(x @ held["w"] + held["b"], 0) @ held["v"]
        label = scores.argmax(axis=1)
        label[::10] = (label[::10] + 1) % 3
        colour = np.where(np.arange(n) % 2, "odd", "even")
        arrays |= {f"{split}.samples": x, f"{split}.label": label, f"{split}.colour": colour}
    np.savez(folder / "d.npz", **arrays)
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="session")
def built(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """The project's candidates, made by real workers."""
    recipe = load_recipe(project / "recipe.yaml")
    with (
        Store(tmp_path_factory.mktemp("store")) as store,
        Engine(store, on_event=lambda _event: None, bench=run_bench) as engine,
    ):
        known, outcomes = prepare(recipe, engine)
        plan = make_plan(recipe, known)
        outcomes |= engine.run(plan.jobs, outcomes)
        yield Built(recipe, known, engine, store, outcomes, plan)


@pytest.fixture
def work(built: Built) -> Work:
    """A test's own: what it adds to the outcomes is gone with it."""
    own = dict(built.outcomes)
    return Work(built.recipe, built.known, built.engine, built.store, own, lambda _event: None)


@pytest.fixture
def plan(built: Built) -> Plan:
    return built.plan


@pytest.fixture
def entries(work: Work, plan: Plan) -> list[Entry]:
    """The reference, what was simplified, and what was quantized."""
    return entries_of(plan, work.known.groups[0], work.outcomes)[0]


@pytest.fixture
def bench(work: Work) -> Bench:
    """The bench of the only target."""
    group = work.known.groups[0]
    return Bench(work.recipe, work.known, work.engine, work.store, work.outcomes, group)
