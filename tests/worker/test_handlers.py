"""Jobs in real worker processes, through the engine: data, opening, passes, checks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from worker_bed import Bed, SplitJob

from edgeopt.engine import Engine
from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.job import Arrays, Job
from edgeopt.store import Store


def files_of(folder: Path) -> set[Path]:
    """All but the store and the bytecode of an installed module, which Python keeps for itself."""
    return {path for path in folder.rglob("*") if not {"store", "__pycache__"} & set(path.parts)}


def test_opening_gives_artifact_description_and_inspection(
    engine: Engine, open_job: Job, store: Store, model: Path, tmp_path: Path
) -> None:
    outcome = engine.run([open_job], {})["open"]
    assert outcome.ok, outcome.error
    artifact = Artifact.model_validate(outcome.value["artifact"])
    assert outcome.digest == artifact.digest
    copied = store.checkout(artifact, tmp_path / "out") / "model.onnx"
    assert copied.read_bytes() == model.read_bytes()
    signature = Description.model_validate(outcome.value["description"]).signature
    assert signature.inputs[0].shape == ("batch", 4)
    assert outcome.value["inspection"]["operators"] == {"MatMul": 1}


def test_a_broken_model_is_one_error_that_names_the_file(
    engine: Engine, open_job: Job, model: Path, tmp_path: Path
) -> None:
    model.write_bytes(model.read_bytes()[:-20])
    before = files_of(tmp_path)
    outcome = engine.run([open_job], {})["open"]
    assert outcome.status == "failed" and outcome.error is not None
    assert outcome.error["type"] == "ModelError"
    assert "tiny.onnx" in outcome.error["where"] + outcome.error["what"]
    assert files_of(tmp_path) == before


def test_data_become_arrays_and_then_tensors(bed: Bed, store: Store, archive: Path) -> None:
    with np.load(archive) as given:
        expected, label = given["train.x"][:8], given["train.y"][:8]
    raw = Arrays.model_validate(bed.known["data:calibration"].value)
    assert (raw.split, raw.n, bed.known["data:calibration"].digest) == (
        "calibration",
        8,
        raw.digest,
    )
    np.testing.assert_array_equal(store.get_array(raw.labels["y"]), label)
    tensors = Arrays.model_validate(bed.known["tensors:calibration"].value)
    np.testing.assert_array_equal(store.get_array(tensors.arrays["x"]), expected)


def test_a_changed_label_changes_no_digest(
    engine: Engine, split_job: SplitJob, archive: Path
) -> None:
    job = split_job("validation", "validation")
    first = engine.run([job], {})[job.id]
    with np.load(archive) as given:
        changed = {name: given[name] for name in given.files}
    changed["validation.y"][0] += 1
    np.savez(archive, **changed)
    second = engine.run([job.model_copy(update={"key": {"file": "changed"}})], {})[job.id]
    assert second.digest == first.digest and second.value != first.value


@pytest.mark.parametrize("trained_on", ["none", "disjoint", "validation", "rubbish"])
def test_overlap_is_looked_for(
    engine: Engine, split_job: SplitJob, store: Store, tmp_path: Path, trained_on: str
) -> None:
    splits = [split_job("calibration", "train[:8]"), split_job("validation", "validation")]
    known = engine.run(splits, {})
    path = tmp_path / "trained_on.npy"
    if trained_on == "rubbish":
        path.write_bytes(b"no array")
    else:
        blob = Arrays.model_validate(known["data:validation"].value).hashes
        hashes = np.load(store.path(blob)).astype(">u8")
        np.save(path, hashes[3:4] if trained_on == "validation" else ~hashes)
    job = Job(
        id="overlap",
        kind="data",
        name="overlap",
        params={"trained_on": trained_on != "none"},
        inputs={"calibration": "data:calibration", "validation": "data:validation"},
        where={"trained_on": str(path)},
    )
    outcome = engine.run([job], known)["overlap"]
    if trained_on in ("none", "disjoint"):
        assert outcome.ok, outcome.error
    else:
        assert outcome.error is not None and outcome.error["type"] == "DataError"
        said = "sample hashes" if trained_on == "rubbish" else "validation"
        assert said in outcome.error["what"]


def test_a_plugged_in_pass_may_do_its_work_in_another_module(bed: Bed) -> None:
    outcome = bed.run("double")
    assert outcome.ok, outcome.error
    assert outcome.digest == bed.run("scale", factor=2.0).digest


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("nothing", "gives None, not a model or a path"),
        ("text", "gives a str, which the format onnx cannot save: AttributeError"),
    ],
)
def test_what_no_format_can_save_is_blamed_on_the_pass(bed: Bed, what: str, told: str) -> None:
    """Guards against "'str' object has no attribute 'graph'" in edgeopt's own code."""
    error = bed.run("given", what=what).error
    assert error is not None and error["type"] == "PluginError"
    assert f"run() of the pass given (plugged_in.Given) {told}" in error["what"]


def test_a_pass_gives_a_new_artifact_and_keeps_its_parent(bed: Bed, store: Store) -> None:
    outcome = bed.run("scale", factor=2.0)
    assert outcome.ok, outcome.error
    made, parent = (
        Artifact.model_validate(bed.known[id].value["artifact"]) for id in ("pass:scale", "open")
    )
    assert made.digest == outcome.digest != parent.digest
    values = [
        onnx.numpy_helper.to_array(
            onnx.load(store.path(artifact.files["model.onnx"])).graph.initializer[0]
        )
        for artifact in (parent, made)
    ]
    np.testing.assert_array_equal(values[0] * 2, values[1])
    assert outcome.value["description"] == bed.known["open"].value["description"]


def test_a_pass_is_seeded(bed: Bed) -> None:
    first, other = bed.run("noise", seed=0), bed.run("noise", seed=1)
    again = bed.run("noise", seed=0, run="another")
    assert first.ok and not again.cached
    assert first.digest == again.digest != other.digest


def test_fields_that_a_pass_does_not_have_are_refused(bed: Bed) -> None:
    error = bed.run("noise", spare=1).error
    assert error is not None and "spare" in error["what"]


def test_a_pass_sees_its_splits_and_no_other(bed: Bed) -> None:
    assert bed.run("from-data").ok, bed.known["pass:from-data"].error
    for split in ("validation", "test"):
        outcome = bed.run("from-data", ask=split)
        assert outcome.error is not None and outcome.error["type"] == "PassError"
        assert outcome.error["what"] == f"from-data may not see the split '{split}'"
        assert "calibration" in outcome.error["hint"]


def test_a_pass_that_trains_sees_labels_and_source_where_it_says_so(bed: Bed, store: Store) -> None:
    assert bed.run("taught").ok, bed.known["pass:taught"].error
    for fields, said in (
        ({"ask": "test"}, "taught may not see the labels of 'test'"),
        ({"code_named": "loss.py:own"}, "taught does not declare that it runs 'loss.py:own'"),
    ):
        error = bed.run("taught", **fields).error
        assert error is not None and error["what"] == said
    assert not list((store.root / "checkpoints").glob("*/seen"))


def test_a_pass_that_failed_finds_its_checkpoints_again(bed: Bed, store: Store) -> None:
    error = bed.run("taught", seed=1).error
    assert error is not None and error["what"] == "killed on the way"
    (kept,) = (store.root / "checkpoints").glob("*/seen")
    again = bed.run("taught", seed=1)
    assert again.ok, again.error
    assert not kept.exists()


def test_a_refusal_comes_through_with_the_job_named(bed: Bed) -> None:
    error = bed.run("scale", factor=0.0).error
    assert error is not None
    assert (error["type"], error["where"]) == ("PassError", "pass:scale")
    assert error["what"] == "a factor of zero leaves nothing"


def test_a_pass_that_predicts_wrongly_is_blamed_by_name(bed: Bed) -> None:
    predicted = bed.description.model_copy(update={"facts": frozenset({"float32", "int8"})})
    error = bed.run("liar", effect=predicted).error
    assert error is not None and error["type"] == "PassError"
    assert error["what"].startswith("liar made a model that is not what it predicted: facts")


def test_what_a_pass_prints_or_leaves_behind_disturbs_nobody(bed: Bed, tmp_path: Path) -> None:
    before = files_of(tmp_path)
    outcome = bed.run("noisy")
    assert outcome.ok, outcome.error
    assert outcome.digest == bed.known["open"].digest
    assert files_of(tmp_path) == before


def test_jobs_that_no_worker_knows_fail_by_name(engine: Engine) -> None:
    jobs = [
        Job(id="a", kind="analysis", name="nonsense"),
        Job(id="b", kind="data", name="nonsense"),
        Job(id="c", kind="pass", name="nonsense", params={"takes": "onnx", "fields": {}}),
    ]
    outcomes = engine.run(jobs, {})
    assert "unknown analysis 'nonsense'" in str(outcomes["a"].error)
    assert "unknown data job 'nonsense'" in str(outcomes["b"].error)
    assert "no pass 'nonsense' takes onnx" in str(outcomes["c"].error)
