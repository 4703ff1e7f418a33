"""Counts of a real agent's marks; the counters behind them are written down."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from passes_bench import network, samples

from edgeopt.agent.counting import EMPTY
from edgeopt.bench.count import COUNTERS, FEW, MOST, SPREAD, count, spread
from edgeopt.bench.task import Task
from edgeopt.schema.errors import DeviceError
from edgeopt.schema.measurement import Measurement
from edgeopt.store import Store
from edgeopt.transport.channel import Channel
from edgeopt.transport.lease import LocalLease

MakeTask = Callable[..., Task]
MARK = np.array([0, 0, 2, 3, 40, 16, 8])  # what a mark itself costs, by counter
EACH = {"a": np.array([100, 10, 20, 5, 15, 400, 80]), "b": np.array([200, 20, 40, 10, 30, 800, 16])}


class Emulator(LocalLease):
    """Real agents, whose marks an emulator counts: ``each`` gives the counters of an inference."""

    def __init__(self, folder: Path, each: Callable[[str, int], np.ndarray]) -> None:
        super().__init__("emulated:here", folder, None)
        self.each, self.asked = each, 0

    def start_agent(self) -> Channel:
        channel = super().start_agent()
        channel.counted = self.counted  # type: ignore[method-assign]
        return channel

    def counted(self, marks: int) -> list[tuple[int, ...]]:
        """A request's marks: pairs of nothing, then of a's inferences, then of b's."""
        loops = (marks // 2 - EMPTY) // 2
        pairs = [MARK] * EMPTY
        pairs += [MARK + self.each(side, self.asked + i) for side in "ab" for i in range(loops)]
        self.asked += loops
        found, total = [], np.full(len(COUNTERS), 1000)
        for pair in pairs:
            found += [tuple(total.tolist()), tuple((total + pair).tolist())]
            total = total + pair + 7  # what goes on between two pairs is nobody's
        return found


@pytest.fixture
def counted(task_of: MakeTask, store: Store, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """``counted(each)``: the value of a count on an emulator."""

    def run(each: Callable[[str, int], np.ndarray]) -> dict[str, Any]:
        path = tmp_path / "m.onnx"
        onnx.save(network(), path)
        task = task_of(dict.fromkeys("ab", "local/onnxruntime"), path, "x", samples(4))
        folder = tmp_path / "device"
        folder.mkdir()
        lease = Emulator(folder, each)
        value = count(task, lease, store, lambda *_, **__: None)[1]
        return {**value, "inferences": lease.asked}

    return run


def measured(value: dict[str, Any], side: str, quantity: str) -> Measurement:
    return Measurement.model_validate(value[side][quantity])


def test_what_a_mark_costs_is_taken_off(
    counted: Callable[..., dict[str, Any]], store: Store
) -> None:
    value = counted(lambda side, _: EACH[side])
    a = measured(value, "a", "instructions")
    assert (a.value, a.unit, a.interval) == (150.0, "count", (150.0, 150.0)), "of five classes"
    assert measured(value, "b", "instructions").value == 300.0
    assert measured(value, "a", "instructions.vector_mac").value == 100.0
    loaded = measured(value, "a", "bytes.loaded")
    assert (loaded.value, loaded.unit) == (400.0, "bytes")
    ratio = Measurement.model_validate(value["ratio"]["instructions"])
    assert (ratio.value, ratio.interval, ratio.marks) == (0.5, (0.5, 0.5), ())
    assert value["inferences"] == FEW == ratio.n
    kept = json.loads(store.get_bytes(value["samples"]))
    assert np.array(kept["pairs"]["mark"]).tolist() == [MARK.tolist()] * EMPTY
    assert set(value["placement"]["a"]) == {"CPUExecutionProvider"}


def test_counts_that_spread_are_repeated_and_marked(
    counted: Callable[..., dict[str, Any]],
) -> None:
    def each(side: str, index: int) -> np.ndarray:
        extra = 10 * (index % 2) if side == "a" else 0
        return EACH[side] + np.array([extra, 0, 0, 0, 0, 0, 0])

    value = counted(each)
    ratio = Measurement.model_validate(value["ratio"]["instructions"])
    assert value["inferences"] == MOST == ratio.n
    assert ratio.interval == (150 / 300, 160 / 300) and ratio.marks == ("wide",)
    assert measured(value, "a", "instructions").marks == ("wide",)
    assert measured(value, "b", "instructions").marks == ()


def test_an_inference_without_an_instruction_is_no_count(
    counted: Callable[..., dict[str, Any]],
) -> None:
    with pytest.raises(DeviceError, match="counted no instructions") as caught:
        counted(lambda side, _: EACH[side] * (side == "a"))
    assert caught.value.where == "b"


def test_a_device_that_counts_nothing_says_so(
    task_of: MakeTask, store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(network(), path)
    task = task_of(dict.fromkeys("ab", "local/onnxruntime"), path, "x", samples(4))
    lease = LocalLease("local", tmp_path, None)
    with pytest.raises(DeviceError, match=f"nothing counted the {2 * (EMPTY + 2 * FEW)} marks"):
        count(task, lease, store, lambda *_, **__: None)


def test_the_spread_is_over_the_median() -> None:
    assert spread(np.array([999.0, 1000.0, 1000.5])) == pytest.approx(0.0015)
    assert spread(np.array([1000.0, 1000.5])) < SPREAD
