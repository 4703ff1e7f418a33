"""The whole loop on a small project: planned, built, and what stops it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgeopt.pipeline import make_plan, run_recipe
from edgeopt.recipe import Recipe, load_recipe, make_recipe
from edgeopt.schema.errors import DataError, ModelError, StoreError
from edgeopt.schema.event import Event
from edgeopt.store import Store


@pytest.fixture
def own(project: Path, tmp_path: Path) -> Path:
    """A copy of the project that a test may change."""
    shutil.copytree(project, tmp_path / "own")
    return tmp_path / "own"


def recipe_in(folder: Path, **changed: Any) -> Recipe:
    fields = load_recipe(folder / "recipe.yaml").spelled()
    return make_recipe({**fields, **changed}, root=folder)


def test_what_was_built_is_told_and_written(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    heard: list[Event] = []
    with Store(tmp_path / "store") as store:
        recipe = load_recipe(own / "recipe.yaml")
        result = run_recipe(
            recipe, store=store, out=tmp_path / "out", on_event=heard.append, bench=False
        )
    (target,) = result.targets
    assert (target.verdict, result.exit_code, result.quick) == ("built", 0, False)
    assert result.recipe_path == "own/recipe.yaml", "as it is typed here"
    assert result.recipe == recipe.spelled()
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == result.to_json()
    paths = [candidate.path for candidate in target.candidates]
    assert all((tmp_path / "out" / str(path)).stat().st_size for path in paths)
    phases = [event.text for event in heard if event.what == "phase"]
    assert phases == ["Reading the model and the data", "Building 2 candidates"]


def test_without_a_bench_all_is_built_and_again_from_the_cache(own: Path, tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        first = run_recipe(recipe_in(own), store=store, out=None, bench=False)
        _, estimate = make_plan(recipe_in(own), store=store)
        again = run_recipe(recipe_in(own), store=store, out=None, bench=False)
    assert first.targets[0].verdict == again.targets[0].verdict == "built"
    assert "simplify-onnx" in first.jobs.ran and "simplify-onnx" in again.jobs.cached
    assert not again.jobs.ran
    digests = [[c.artifact.digest for c in r.targets[0].candidates if c.artifact]
               for r in (first, again)]  # fmt: skip
    assert digests[0] == digests[1] and len(digests[0]) == 3
    assert estimate["cached"] == estimate["jobs"] and estimate["build_seconds"] == 0


def test_a_plan_says_what_it_would_take_and_what_is_out_of_reach(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "devices.yaml").write_text("exec: {lost: {command: ['false']}}\n")
    monkeypatch.setenv("EDGEOPT_DEVICES", str(tmp_path / "devices.yaml"))
    recipe = recipe_in(own, targets=["local/onnxruntime", "exec:lost/onnxruntime"])
    with Store(tmp_path / "store") as store:
        plan, estimate = make_plan(recipe, store=store)
    assert any(note.startswith("out of reach: exec:lost: ") for note in plan.notes)
    kinds = [job.kind for job in plan.jobs]
    assert estimate["jobs"] == len(kinds) and estimate["candidates"] == 2
    assert estimate["samples_scored"] == (2 + 2) * 40
    assert estimate["cached"] == 0 and estimate["build_seconds"] > 0
    assert kinds.count("pass") == 2 and kinds.count("check") == 3


def test_a_source_that_answers_nan_ends_the_run(own: Path, tmp_path: Path) -> None:
    model = onnx.load(own / "m.onnx")
    for tensor in model.graph.initializer:
        if tensor.name == "v":
            tensor.CopyFrom(numpy_helper.from_array(np.full((8, 3), np.nan, np.float32), "v"))
    onnx.save(model, own / "m.onnx")
    with (
        Store(tmp_path / "store") as store,
        pytest.raises(ModelError, match="the source gives NaN"),
    ):
        run_recipe(recipe_in(own), store=store, out=None, bench=False)


def test_nothing_is_read_where_nothing_can_be_written(own: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    heard: list[Event] = []
    with (
        Store(tmp_path / "store") as store,
        pytest.raises(StoreError, match="not a writable folder"),
    ):
        run_recipe(recipe_in(own), store=store, out=tmp_path / "file", on_event=heard.append)
    assert not heard


def test_missing_data_end_the_run(own: Path, tmp_path: Path) -> None:
    (own / "d.npz").unlink()
    with Store(tmp_path / "store") as store, pytest.raises(DataError, match="No such file"):
        run_recipe(recipe_in(own), store=store, out=None)
