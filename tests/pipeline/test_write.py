"""A result on disk: whole or not at all, the old one until the new one is there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeopt.pipeline.write import check_writable, write_result
from edgeopt.schema.artifact import Artifact
from edgeopt.schema.errors import StoreError
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import CandidateResult, Result, TargetResult
from edgeopt.store import Store

TARGET = "local/onnxruntime"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def artifact(store: Store, folder: Path, text: str, *more: str) -> Artifact:
    place = folder / f"artifact-{text}"
    place.mkdir()
    for name in ("model.onnx", *more):
        (place / name).write_text(text)
    return store.put_artifact(place, "onnx")


def candidate(
    made: Artifact | None, id: str, status: str, target: str = TARGET, ratio: float | None = None
) -> CandidateResult:
    name = "ratio.latency.p50"
    measured = {} if ratio is None else {name: Measurement(quantity=name, value=ratio, unit="x")}
    return CandidateResult.model_validate(
        {"id": id, "chain": (), "label": id, "target": target, "status": status, "reason": "",
         "artifact": made, "measurements": measured}
    )  # fmt: skip


def result(*candidates: CandidateResult, target: str = TARGET, **fields: Any) -> Result:
    given = {"target": target, "objective": "size", "machine": {}, "sentence": "",
             "candidates": candidates, "verdict": "chosen"}  # fmt: skip
    return Result(
        edgeopt="0", started="now", seconds=1.0, recipe={}, source={},
        targets=(TargetResult.model_validate({**given, **fields}),),
    )  # fmt: skip


def files(out: Path) -> dict[str, str]:
    return {
        path.relative_to(out).as_posix(): path.read_text()
        for path in out.rglob("*")
        if path.is_file() and path.name != "result.json"
    }


def test_the_chosen_file_and_the_best_of_other_runtimes_are_laid_out(
    store: Store, tmp_path: Path
) -> None:
    made = {name: artifact(store, tmp_path, name) for name in ("a", "b", "c", "d", "e")}
    given = result(
        candidate(made["a"], "a", "chosen", ratio=0.5),
        candidate(made["b"], "b", "lost", ratio=0.4),  # the kept one's runtime
        candidate(made["c"], "c", "lost", "local/litert", ratio=0.9),
        candidate(made["d"], "d", "screened", "local/litert", ratio=0.7),
        candidate(made["e"], "e", "infeasible", "local/openvino", ratio=0.1),
        target="local/*", chosen="a",
    )  # fmt: skip
    out = tmp_path / "out"
    placed = write_result(given, store, out)
    assert files(out) == {
        "best/local/model.onnx": "a",
        "runners-up/local/litert/model.onnx": "d",
    }
    (target,) = placed.targets
    assert target.path == "best/local/model.onnx" == target.candidate("a").path
    assert target.candidate("d").path == "runners-up/local/litert/model.onnx"
    assert target.candidate("c").path is None
    written = json.loads((out / "result.json").read_text())
    assert written == placed.to_json() and written["targets"][0]["path"] == target.path


def test_a_nearest_miss_is_a_candidate_and_no_best(store: Store, tmp_path: Path) -> None:
    made = artifact(store, tmp_path, "a", "weights.bin")
    given = result(candidate(made, "a", "infeasible"), verdict="unmet", nearest_miss="a")
    placed = write_result(given, store, tmp_path / "out")
    folder = "candidates/local-onnxruntime"
    assert set(files(tmp_path / "out")) == {f"{folder}/model.onnx", f"{folder}/weights.bin"}
    assert placed.targets[0].path == folder, "of several files it is the folder"


def test_without_measuring_every_candidate_is_kept(store: Store, tmp_path: Path) -> None:
    given = result(
        candidate(artifact(store, tmp_path, "a"), "a", "unmeasured"),
        candidate(None, "b", "failed"),
        candidate(artifact(store, tmp_path, "c"), "c", "unmeasured"),
        verdict="built",
    )
    placed = write_result(given, store, tmp_path / "out")
    folder = "candidates/local-onnxruntime"
    kept = {f"{folder}/00/model.onnx": "a", f"{folder}/02/model.onnx": "c"}
    assert files(tmp_path / "out") == kept
    assert [c.path for c in placed.targets[0].candidates][1] is None
    assert placed.targets[0].path is None


def test_a_new_result_takes_the_place_of_the_old_one_and_of_nothing_else(
    store: Store, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = result(candidate(artifact(store, tmp_path, "a"), "a", "chosen"), chosen="a")
    write_result(first, store, out)
    (out / "notes.txt").write_text("mine")
    miss = candidate(artifact(store, tmp_path, "b"), "b", "infeasible")
    write_result(result(miss, verdict="unmet", nearest_miss="b"), store, out)
    kept = {"candidates/local-onnxruntime/model.onnx": "b", "notes.txt": "mine"}
    assert files(out) == kept, "the old best is gone"
    assert not list(out.glob(".staged-*"))
    (model,) = out.glob("candidates/*/model.onnx")
    model.write_text("the user's own now")
    assert store.get_bytes(miss.artifact.files["model.onnx"]) == b"b"  # type: ignore[union-attr]


def test_what_cannot_be_written_leaves_the_old_result(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = artifact(store, tmp_path, "a")
    write_result(result(candidate(made, "a", "chosen"), chosen="a"), store, out)
    before = (out / "result.json").read_bytes()
    lost = artifact(store, tmp_path, "b")
    store.path(lost.files["model.onnx"]).unlink()
    with pytest.raises(StoreError):
        write_result(result(candidate(lost, "b", "chosen"), chosen="b"), store, out)
    assert (out / "result.json").read_bytes() == before
    assert files(out) == {"best/local-onnxruntime/model.onnx": "a"}
    assert not list(out.glob(".staged-*"))


def test_a_place_that_cannot_be_written_to_is_known_before_any_work(tmp_path: Path) -> None:
    check_writable(tmp_path / "not" / "yet" / "there")
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(StoreError, match="is not a writable folder") as caught:
            check_writable(place)
        assert caught.value.where == str(place) and "--out" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_leave_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir(mode=0o500)
    with pytest.raises(StoreError):
        check_writable(tmp_path / "kept" / "out")


def test_an_out_that_is_a_file_is_a_store_error(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write the result"):
        write_result(result(candidate(None, "a", "failed"), verdict="failed"), store,
                     tmp_path / "file")  # fmt: skip
