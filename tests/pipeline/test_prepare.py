"""The first jobs: what they read enters their keys, and what cannot be read is refused by name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeopt.engine import Engine
from edgeopt.pipeline.prepare import (
    data_jobs,
    host_isa,
    installed_version,
    open_job,
    prepare,
    run_or_raise,
)
from edgeopt.recipe import Recipe, load_recipe, make_recipe
from edgeopt.schema.errors import DataError, EdgeoptError, ModelError, PlanError, UsageError
from edgeopt.schema.job import Job
from edgeopt.schema.target import parse_target
from edgeopt.store import Store
from edgeopt.transport.kinds import device_named


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    def no_bench(*_: Any) -> tuple[str, dict[str, Any]]:
        raise AssertionError("nothing is measured here")

    with (
        Store(tmp_path / "store") as store,
        Engine(store, on_event=lambda _event: None, bench=no_bench) as engine,
    ):
        yield engine


@pytest.fixture
def own(project: Path, tmp_path: Path) -> Path:
    """A copy of the project that a test may change."""
    shutil.copytree(project, tmp_path / "own")
    return tmp_path / "own"


def recipe_in(folder: Path, **changed: Any) -> Recipe:
    """The folder's recipe with other fields; those of ``data`` one by one."""
    given = load_recipe(folder / "recipe.yaml")
    fields = given.spelled()
    fields["data"] |= changed.pop("data", {})
    return make_recipe({**fields, **changed}, root=folder)


def test_what_is_known_of_a_project(project: Path, engine: Engine) -> None:
    known, outcomes = prepare(recipe_in(project), engine)
    assert known.source.signature.inputs[0].shape == ("batch", 6)
    assert {role: arrays.n for role, arrays in known.raw.items()} == {
        "calibration": 24, "validation": 40, "test": 40,
    }  # fmt: skip
    assert known.labelled == {"scores": "label"}
    assert known.classes == {"scores": ("red", "green", "blue")}
    assert set(known.unshared["validation"]) == {"calibration"}
    assert known.host_isa == host_isa() == known.groups[0].members[0][1].isa
    assert known.version("onnx") == installed_version("onnx") != ""
    assert outcomes[known.source_job].ok and not known.notes


def test_plain_arrays_are_one_split_and_a_note_says_so(own: Path, engine: Engine) -> None:
    rng = np.random.default_rng(0)
    arrays = {"samples": rng.normal(size=(30, 6)).astype(np.float32),
              "label": np.arange(30) % 3, "colour": np.arange(30)}  # fmt: skip
    np.savez(own / "d.npz", **arrays)
    splits = {"validation": "samples[:20]", "test": "samples[20:]"}
    known, _ = prepare(recipe_in(own, data={"splits": splits}), engine)
    (note,) = known.notes
    assert note == (
        "d.npz has plain arrays, which are one split: validation is samples[:20], "
        "test is samples[20:]"
    )


def test_a_sample_that_two_splits_share_ends_the_run(own: Path, engine: Engine) -> None:
    with np.load(own / "d.npz") as given:
        arrays = dict(given)
    arrays["test.samples"][3] = arrays["validation.samples"][5]
    np.savez(own / "d.npz", **arrays)
    with pytest.raises(DataError, match="test"):
        prepare(recipe_in(own), engine)


def test_splits_of_another_form_are_refused(own: Path, engine: Engine) -> None:
    with np.load(own / "d.npz") as given:
        arrays = dict(given)
    arrays["test.samples"] = arrays["test.samples"][:, :5]
    np.savez(own / "d.npz", **arrays)
    with pytest.raises(DataError, match=r"samples of 'samples' are float32\[5\] in test and"):
        prepare(recipe_in(own), engine)


def test_a_split_has_a_key_of_its_own(own: Path) -> None:
    def keys() -> dict[str, str]:
        return {job.id: job.cache_key({}) for job in data_jobs(recipe_in(own))}

    before = keys()
    assert list(before) == ["data:calibration", "data:validation", "data:test", "data:overlap"]
    with np.load(own / "d.npz") as given:
        arrays = dict(given)
    arrays["test.label"][0] += 1
    np.savez(own / "d.npz", **arrays)
    changed = {id for id, key in keys().items() if key != before[id]}
    assert changed == {"data:test"}


def test_no_data_is_an_error_that_says_what_to_add() -> None:
    with pytest.raises(PlanError, match="no data: ") as caught:
        data_jobs(make_recipe({"model": "m.onnx"}))
    assert "data.source" in caught.value.hint


def test_a_count_of_samples_is_for_a_function(project: Path) -> None:
    with pytest.raises(UsageError, match="a number of samples is for a function") as caught:
        data_jobs(recipe_in(project, data={"splits": {"validation": 10}}))
    assert caught.value.hint == 'e.g. validation: "validation[:10]"'


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("none.npz", "No such file"),
        ("none", "no such data source 'none'"),
        ("m.onnx", "cannot read data source 'm.onnx'"),
        ("none.py:f", r"none\.py"),
    ],
)
def test_a_source_that_nobody_reads_is_named(project: Path, source: str, said: str) -> None:
    with pytest.raises(EdgeoptError, match=said):
        data_jobs(recipe_in(project, data={"source": source}))


def test_a_function_is_never_taken_from_the_cache_and_has_a_time_limit(own: Path) -> None:
    (own / "load.py").write_text("def samples(): ...\n")
    data = {"source": "load.py:samples", "splits": {"validation": 8}, "timeout": "2 min"}
    job, _ = data_jobs(recipe_in(own, data=data))
    assert (job.name, job.worker, job.cache, job.limits.time_s) == ("function", "user", False, 120)
    assert job.params["select"] == "samples[0:8]"
    assert job.where == {"function": "load.py:samples", "root": str(own.resolve())}
    before = job.cache_key({})
    (own / "load.py").write_text("def samples(): return\n")
    assert data_jobs(recipe_in(own, data=data))[0].cache_key({}) != before


def test_the_source_is_known_by_its_content_and_by_no_path(own: Path, project: Path) -> None:
    here, there = (open_job(recipe_in(folder), {}) for folder in (own, project))
    assert here.cache_key({}) == there.cache_key({}) and here.where != there.where
    (own / "m.onnx").write_bytes((own / "m.onnx").read_bytes() + b"\0")
    assert open_job(recipe_in(own), {}).cache_key({}) != there.cache_key({})
    (own / "m.onnx").unlink()
    with pytest.raises((ModelError, DataError), match=r"m\.onnx"):
        open_job(recipe_in(own), {})


def test_a_factory_elsewhere_takes_its_files_along(own: Path, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "net.py").write_text("def net(): ...\n")
    (own / "w.safetensors").write_bytes(b"weights")
    model = {"factory": "../code/net.py:net", "weights": "w.safetensors"}
    job = open_job(recipe_in(own, model=model, passes=["export-onnx"]), {"x": {"shape": [6]}})
    assert job.where["root"] == str(code.resolve())
    assert job.params["spec"]["factory"] == "net.py:net"
    assert job.params["spec"]["weights"] == "../own/w.safetensors"
    assert job.params["samples"] == {"x": {"shape": [6]}}


def test_the_first_failure_is_raised_and_not_what_it_skipped(engine: Engine) -> None:
    jobs = [
        Job(id="after", kind="data", name="overlap", inputs={"validation": "first"}),
        Job(id="first", kind="data", name="nonsense"),
    ]
    with pytest.raises(EdgeoptError, match="unknown data job 'nonsense'"):
        run_or_raise(engine, jobs, {})


def test_versions_are_read_without_an_import() -> None:
    assert installed_version("numpy") == np.__version__
    assert installed_version("no-such-distribution") == ""


def test_the_hosts_isa_is_what_its_agent_says() -> None:
    assert host_isa() == device_named("local").facts(parse_target("local/onnxruntime")).isa
