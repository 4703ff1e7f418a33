"""Scores and races by real agents of real files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper
from passes_bench import network, samples

from edgeopt.bench.jobs import run_bench
from edgeopt.bench.race import Run, value_of
from edgeopt.bench.score import Outputs
from edgeopt.schema.errors import DeviceError, EdgeoptError, ModelError, UsageError
from edgeopt.schema.job import ArrayRef, Arrays, Job, Outcome, Request
from edgeopt.schema.measurement import Measurement
from edgeopt.store import Store

TARGET = "local/onnxruntime"
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def ask(store: Store, tmp_path: Path) -> Ask:
    """``ask(kind, role=model, ...)``: the value of a score or a race."""

    def put(model: onnx.ModelProto) -> Outcome:
        folder = store.root.parent / f"model-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        artifact = store.put_artifact(folder, "onnx")
        value = {"artifact": artifact.to_json()}
        return Outcome(job="m", status="ok", digest=artifact.digest, value=value)

    def asked(
        kind: str,
        *,
        x: np.ndarray,
        protocol: str = "short",
        target: str | dict[str, str] = TARGET,
        cancelled: threading.Event | None = None,
        **models: onnx.ModelProto,
    ) -> dict[str, Any]:
        tensors = Arrays(split="v", n=len(x), arrays={"x": store.put_array(x)})
        inputs = {role: put(model) for role, model in models.items()}
        fed = Outcome(job="s", status="ok", digest=tensors.digest, value=tensors.to_json())
        inputs |= {f"samples:{role}": fed for role in models}
        targets = dict.fromkeys(models, target) if isinstance(target, str) else target
        params = {"targets": targets} | ({"protocol": protocol} if kind == "race" else {})
        job = Job(id=kind, kind=kind, name="bench", worker="bench", params=params)  # type: ignore[arg-type]
        with store.workdir() as workdir:
            request = Request(
                job=job, inputs=inputs, store=str(store.root), workdir=str(workdir), key="k"
            )
            return run_bench(request, lambda *_, **__: None, cancelled or threading.Event())[1]

    return asked


def direct(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0]


PLACES = {"local/onnxruntime": "CPUExecutionProvider", "local/openvino": "CPU"}


@pytest.mark.extras
@pytest.mark.parametrize("target", PLACES)
@pytest.mark.parametrize("batch", ["batch", 1, 4])
def test_a_score_is_what_the_runtime_answers(
    ask: Ask, store: Store, batch: Any, target: str
) -> None:
    model, x = network(batch=batch), samples(10)
    value = ask("score", model=model, x=x, target=target)
    found = store.get_array(ArrayRef.model_validate(value["outputs"]["y"]))
    np.testing.assert_allclose(found, direct(network(), x), rtol=1e-4, atol=1e-5)
    assert (value["n"], value["order"]) == (10, ["y"])
    assert set(value["placement"]) == {PLACES[target]}
    assert sum(value["placement"].values()) > 0


@pytest.mark.extras
def test_two_runtimes_race_in_one_process(ask: Ask) -> None:
    targets = {"a": "local/openvino", "b": "local/onnxruntime"}
    value = ask("race", a=network(), b=network(), x=samples(8), target=targets)
    machines = {s: value[s]["latency.p50"]["machine"].split() for s in ("a", "b")}
    assert {side: told[0] for side, told in machines.items()} == targets
    assert machines["a"][1] != machines["b"][1], "each side names its own runtime's version"
    assert value["ratio"]["latency.p50"]["machine"].count("local/") == 2
    assert {s: set(value["placement"][s]) for s in ("a", "b")} == {
        "a": {"CPU"},
        "b": {"CPUExecutionProvider"},
    }


def test_sides_with_other_threads_cannot_race(ask: Ask) -> None:
    targets = {"a": "local/onnxruntime?threads=2", "b": "local/onnxruntime"}
    with pytest.raises(UsageError, match="cannot race"):
        ask("race", a=network(), b=network(), x=samples(8), target=targets)


def test_outputs_that_are_no_numbers_name_output_and_sample(ask: Ask) -> None:
    x = samples(40)
    x[33] = np.inf
    with pytest.raises(ModelError, match="output 'y' is NaN for sample 33"):
        ask("score", model=network(), x=x)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (samples(4).astype(np.float64), "input 'x' takes float32"),
        (samples(4)[:, :4], "input 'x' takes float32"),
    ],
)
def test_samples_that_do_not_fit_are_refused(ask: Ask, x: np.ndarray, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        ask("score", model=network(), x=x)


def test_a_race_measures_both_sides_and_their_ratio(ask: Ask, store: Store) -> None:
    value = ask("race", a=network(), b=network(groups=2), x=samples(8))
    ratio = Measurement.model_validate(value["ratio"]["latency.p50"])
    low, high = ratio.interval
    assert 0 < low <= ratio.value <= high and ratio.unit == "x"
    assert ratio.n == value["processes"] >= 2
    assert "x86_64" in ratio.machine or "aarch64" in ratio.machine
    for side in ("a", "b"):
        p50, p90, p99 = (value[side][f"latency.{p}"]["value"] for p in ("p50", "p90", "p99"))
        assert 0 < p50 <= p90 <= p99
        assert value[side]["load_time"]["value"] > 0
        assert set(value["placement"][side]) == {"CPUExecutionProvider"}
    assert len(store.get_bytes(ratio.samples)) > 100, "raw times are kept"


def timed(fast: int, slow: int, times: float) -> Run:
    """One process: a, steady, and b, of which ``slow`` inferences take so many times as long."""
    steady = np.full(fast + slow, 1_000_000, np.int64)
    uneven = steady.copy()
    uneven[:slow] = int(1_000_000 * times)
    return Run("ab abba", turns={"a": [steady], "b": [uneven]}, load_ns={"a": 1, "b": 1})


@pytest.mark.parametrize(
    ("runs", "marks"),
    [
        ([timed(200, 0, 1)] * 3, {}),
        ([timed(40, 0, 1)] * 3, {"latency.p99": {"few"}}),
        ([timed(8, 0, 1)] * 3, {"latency.p90": {"few"}, "latency.p99": {"few"}}),
        ([timed(170, 30, 7)] * 3, {"latency.p90": {"far"}, "latency.p99": {"far"}}),
        (
            [timed(190, 10, 1.2), timed(190, 10, 1.5), timed(190, 10, 2)],
            {"latency.p99": {"wide"}},
        ),
    ],
    ids=["sound", "few for p99", "few for p90", "far from the median", "wide"],
)
def test_a_percentile_that_means_little_is_marked(
    runs: list[Run], marks: dict[str, set[str]]
) -> None:
    """Guards against a p99 of a handful of inferences, and a p90 of what else the machine did."""
    value = value_of(runs, {"n": 3, "samples": ""}, {"a": "here", "b": "here"}, {}, [])
    found = {name: set(each["marks"]) for name, each in value["ratio"].items() if each["marks"]}
    assert found == marks
    assert value["ratio"]["latency.p50"]["timed"] == len(runs[0].turns["a"][0])
    assert "far" not in value["a"]["latency.p90"]["marks"], "that side was steady"


def test_a_full_race_takes_at_least_five_processes(ask: Ask) -> None:
    value = ask("race", a=network(), b=network(), x=samples(8), protocol="full")
    assert 5 <= value["processes"] <= 15
    assert value["ratio"]["latency.p50"]["n"] == value["processes"]


def test_memory_is_measured_in_processes_of_their_own(ask: Ask) -> None:
    big = network()
    weight = np.zeros((16, 500_000), np.float32)
    big.graph.initializer.append(numpy_helper.from_array(weight, "big"))
    big.graph.node.append(onnx.helper.make_node("MatMul", ["m", "big"], ["z"]))
    big.graph.output.append(
        onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["batch", 500_000])
    )
    value = ask("race", a=big, b=network(), x=samples(4), protocol="memory")
    small, large = (value[side]["memory.peak"]["value"] for side in ("b", "a"))
    assert 0 < small < large and large > weight.nbytes


def test_a_cancel_ends_a_race(ask: Ask) -> None:
    cancelled = threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    with pytest.raises(DeviceError, match="cancelled"):
        ask("race", a=network(), b=network(), x=samples(8), protocol="full", cancelled=cancelled)


def test_what_cannot_run_is_an_error_with_a_name(ask: Ask) -> None:
    with pytest.raises(UsageError, match="no race 'long'"):
        ask("race", a=network(), b=network(), x=samples(4), protocol="long")
    with pytest.raises(DeviceError, match="torch reads torch, not onnx"):
        ask("score", model=network(), x=samples(4), target="local/torch")
    broken = network()
    broken.graph.node[0].op_type = "Convolve"
    with pytest.raises(EdgeoptError, match="Convolve"):
        ask("score", model=broken, x=samples(4))


def test_a_device_that_claims_huge_outputs_fills_no_disk(tmp_path: Path) -> None:
    outputs = Outputs(["y"], 10**12, tmp_path)
    with pytest.raises(DeviceError, match=r"would take 1,000\.0 GB"):
        outputs.take(0, 1, {"y": np.zeros((1, 1), np.uint8)})
    assert not list(tmp_path.iterdir())
