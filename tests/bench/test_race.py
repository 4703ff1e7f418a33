"""Races by real agents of real files."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from passes_bench import network, samples

from edgeopt.bench.agent_session import StateReply
from edgeopt.bench.race import value_of
from edgeopt.bench.runs import Run
from edgeopt.schema.errors import DeviceError, ModelError
from edgeopt.schema.measurement import Measurement
from edgeopt.store import Store

Ask = Callable[..., dict[str, Any]]


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


def test_a_race_goes_on_with_the_processes_of_an_earlier_one(ask: Ask, store: Store) -> None:
    sides = {"a": network(), "b": network(groups=2), "x": samples(8)}
    first = ask("race", **sides, params={"processes": 2})["ratio"]["latency.p50"]
    more = ask("race", **sides, params={"processes": 3}, earlier=first["samples"])
    whole = more["ratio"]["latency.p50"]
    assert (first["n"], whole["n"], more["processes"]) == (2, 3, 3)
    kept = [json.loads(store.get_bytes(each["samples"])) for each in (first, whole)]
    assert kept[1]["processes"][:2] == kept[0]["processes"], "none is taken again"
    assert kept[1]["pace"] == kept[0]["pace"], "all take turns of one length"
    assert len({run["order"] for run in kept[1]["processes"]}) == 3
    assert more["placement"] == kept[0]["placement"]
    runs = [Run.from_json(run) for run in kept[1]["processes"]]
    assert [run.to_json() for run in runs] == kept[1]["processes"]
    logs = [np.log(run.ratio(50.0)) for run in runs]
    assert np.log(whole["value"]) == pytest.approx(np.mean(logs))


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


def test_a_cancel_ends_a_race(ask: Ask) -> None:
    cancelled = threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    with pytest.raises(DeviceError, match="cancelled"):
        ask("race", a=network(), b=network(), x=samples(8), protocol="full", cancelled=cancelled)


def test_a_process_in_which_the_device_slowed_down_is_told() -> None:
    states = [StateReply(frequency_mhz=mhz) for mhz in (2000, 1500)]
    hot = replace(timed(200, 0, 1), before=states[0], after=states[1])
    assert hot.throttled and not replace(hot, after=states[0]).throttled
    assert not timed(200, 0, 1).throttled, "nobody knows"
    frame = {"n": 3, "samples": ""}
    value = value_of([timed(200, 0, 1), hot], frame, {"a": "here", "b": "here"}, {}, [])
    assert value["marks"] == ["throttled"] == value["b"]["load_time"]["marks"]


def test_every_nanosecond_of_a_process_is_kept() -> None:
    run = timed(3, 1, 2)
    kept = json.loads(json.dumps(run.to_json()))
    assert kept["turns"] == {"a": [[1_000_000] * 4], "b": [[2_000_000] + [1_000_000] * 3]}
    assert (kept["order"], kept["load_ns"]) == ("ab abba", {"a": 1, "b": 1})
    assert kept["before"] is None


def test_a_fixed_batch_races_only_on_a_target_of_that_batch(ask: Ask) -> None:
    fixed = network(batch=4)
    with pytest.raises(ModelError, match="takes batches of 4, the target asks for 1") as caught:
        ask("race", a=fixed, b=network(), x=samples(8))
    assert caught.value.hint == "measure it on local/onnxruntime?batch=4"
