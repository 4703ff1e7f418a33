"""What an offline job brings back: whatever does not fit the job that was exported is refused."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import ValidationError

from edgeopt.bench.packed import PackedJob, PackedResult, PackedScore, outputs_of, race_value
from edgeopt.schema.errors import DataError, PlacementError

CPU = "CPUExecutionProvider"
MODEL = {
    "name": "model", "files": {"model.onnx": "0" * 64}, "blobs": {"x": "1" * 64}, "n": 3,
    "size_bytes": 10, "outputs": ["y"],
}  # fmt: skip
PLAN = {"processes": 3, "turns": 6, "turn_ms": 1.0, "warm_ms": 1.0, "process_s": 1.0}
HELLO = {
    "protocol": 3, "machine": {"isa": "aarch64-asimd", "cores": 2}, "runtimes": {},
    "runtime_version": "1.2.3",
}  # fmt: skip


def job(**changed: Any) -> PackedJob:
    given = {
        "target": "offline:board/onnxruntime", "runtime": "onnxruntime", "accelerator": "cpu",
        "threads": 1, "batch": 1, "schedule": PLAN, "models": [MODEL, MODEL], "data": "d",
    }  # fmt: skip
    return PackedJob.model_validate({**given, **changed})


def run(**changed: Any) -> dict[str, Any]:
    """A process in which a takes half as long as b."""
    state = {"temperature_c": None, "frequency_mhz": None}
    given = {
        "order": "ab abba", "load_ns": {"a": 2_000_000, "b": 1_000_000},
        "turns": {"a": [[500_000] * 40] * 6, "b": [[1_000_000] * 40] * 6},
        "before": state, "after": state, "nodes": {"a": {CPU: 4}, "b": {CPU: 5}},
    }  # fmt: skip
    return {**given, **changed}


def result(runs: list[dict[str, Any]]) -> PackedResult:
    return PackedResult.model_validate(
        {"version": 1, "job": {}, "hello": HELLO, "scores": [], "races": [[], runs]}
    )


def test_a_race_is_measured_as_any_other() -> None:
    value = race_value(result([run()] * 3), job(), 1, "samples")
    ratio = value["ratio"]["latency.p50"]
    assert (ratio["value"], ratio["n"], ratio["samples"]) == (pytest.approx(0.5), 3, "samples")
    assert ratio["machine"] == "offline:board/onnxruntime 1.2.3 aarch64-asimd"
    assert ratio["timed"] == 240 and ratio["protocol"].startswith("offline race: at least 6 turns")
    assert value["a"]["latency.p50"]["value"] == pytest.approx(0.5)
    assert value["a"]["load_time"]["value"] == pytest.approx(2.0)
    assert value["placement"] == {"a": {CPU: 4}, "b": {CPU: 5}}
    assert value["marks"] == []


def test_threads_on_every_core_and_heat_are_marked() -> None:
    hot = run(before={"temperature_c": 40.0}, after={"temperature_c": 90.0})
    value = race_value(result([run(), run(), hot]), job(threads=2), 1, "")
    assert set(value["marks"]) == {"contended", "throttled"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"nodes": {"a": {CPU: 4}}}, "does not say where both sides ran"),
        ({"turns": {"a": [[5] * 4] * 6}}, "does not have two sides"),
        ({"load_ns": {"a": 1}}, "does not have two sides"),
        ({"turns": {"a": [[5]] * 6, "b": [[5]] * 5 + [[]]}}, "has a turn without a time"),
        ({"turns": {"a": [], "b": [[5]] * 6}}, "has a turn without a time"),
        ({"turns": {"a": [[5]] * 5, "b": [[5]] * 6}}, "has fewer than 6 turns a side"),
    ],
)
def test_a_process_that_is_not_whole_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        race_value(result([run(), run(), run(**changed)]), job(), 1, "")
    assert caught.value.where == "model"


def test_fewer_processes_than_asked_for_are_refused() -> None:
    with pytest.raises(DataError, match="2 processes, not 3"):
        race_value(result([run()] * 2), job(), 1, "")


@pytest.mark.parametrize(
    ("nodes", "named"),
    [({"NPU": 1, CPU: 3}, "NPU"), ({CPU: 0}, "none"), ({CPU: -1}, "none")],
)
def test_nodes_elsewhere_or_nowhere_are_refused(nodes: dict[str, int], named: str) -> None:
    with pytest.raises(PlacementError, match=f"than requested: {named}"):
        race_value(result([run(), run(), run(nodes={"a": {CPU: 1}, "b": nodes})]), job(), 1, "")


@pytest.mark.parametrize(
    "changed",
    [
        {"order": "ab ab"},
        {"load_ns": {"a": 0, "b": 1}},
        {"turns": {"a": [[-1]], "b": [[1]]}},
        {"turns": {"c": [[1]]}},
        {"spare": 1},
    ],
)
def test_what_no_agent_writes_is_not_read(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        result([run(**changed)])


def told(array: np.ndarray, **changed: Any) -> dict[str, Any]:
    data = base64.b64encode(array.tobytes()).decode()
    shape = list(array.shape)
    return {"name": "y", "dtype": array.dtype.name, "shape": shape, "data": data, **changed}


def score(*outputs: dict[str, Any]) -> PackedScore:
    return PackedScore.model_validate({"outputs": list(outputs), "nodes": {CPU: 2}})


@given(
    st.sampled_from([np.float32, np.int8, np.bool_, np.uint64]).flatmap(
        lambda kind: arrays.arrays(
            kind,
            arrays.array_shapes(min_dims=0, max_dims=3).map(lambda rest: (3, *rest)),
            elements={"allow_nan": False} if kind is np.float32 else None,
        )
    )
)
def test_outputs_are_read_as_they_were_written(array: np.ndarray) -> None:
    found = outputs_of(score(told(array)), job(), 0)["y"]
    assert found.dtype == array.dtype and found.tobytes() == array.tobytes()
    assert found.shape == array.shape


ONE = np.ones((3, 2), np.float32)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (told(ONE, dtype="object"), r"output is object\[3, 2\] of 3 samples"),
        (told(ONE[:2]), r"output is float32\[2, 2\] of 3 samples"),
        (told(ONE, shape=[3, 0]), r"output is float32\[3, 0\] of 3 samples"),
        (told(ONE, shape=[3, 3]), "do not fit its shape"),
        (told(ONE, data="AAA"), "do not fit its shape"),
        (told(ONE, data="a b=" * 8), "do not fit its shape"),
        (told(np.full((3, 2), np.nan, np.float32)), "output holds NaN"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(output: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        outputs_of(score(output), job(), 0)
    assert caught.value.where == "model: y"


def test_an_output_that_is_missing_or_stands_twice_is_refused() -> None:
    two = job(models=[{**MODEL, "outputs": ["y", "z"]}])
    for outputs in ((told(ONE),), (told(ONE), told(ONE))):
        with pytest.raises(DataError, match="1 outputs, not 2"):
            outputs_of(score(*outputs), two, 0)
    with pytest.raises(PlacementError, match="than requested: GPU"):
        outputs_of(score(told(ONE)).model_copy(update={"nodes": {"GPU": 1}}), job(), 0)
