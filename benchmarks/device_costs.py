"""What lies between an artifact and its figures: the agent's own cost, and the way to a board.

``overhead`` times one session through the local agent (agent process, protocol, timing loop)
and in a bare loop in turns (``agent_beside_bare.py``); ``roads`` takes the seconds
from an artifact to its first answer on this machine, and on a board behind a private sshd on
loopback. ``devices.py`` prints them.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.bench.agent_session import AgentSession, Timed, agent_session
from edgeopt.bench.task import Side, Task
from edgeopt.formats import format_named
from edgeopt.schema.job import Arrays
from edgeopt.schema.target import parse_target
from edgeopt.stats.ratios import geometric_interval, percentile
from edgeopt.store import Store
from edgeopt.transport.kinds import device_named
from edgeopt.transport.lease import LocalLease
from edgeopt.transport.lock import bench_lock

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "models" / "fashion_mnist" / "source.onnx"
BESIDE = Path(__file__).with_name("agent_beside_bare.py")
SAMPLES, TURNS = 64, 24
TURN_NS, WARM_TURNS, ROUGH_LOOPS, MOST_LOOPS = 25e6, 4, 50, 2000
WITHIN = 0.01  # of a bare loop: what the agent may cost
SIDE = "a"

Take = Callable[[int], np.ndarray]  # so many inferences -> their nanoseconds


def task_of(store: Store, model: Path, target: str) -> Task:
    """An ONNX file with random samples for each input, in the store, to run on a target."""
    with store.workdir() as folder:
        shutil.copyfile(model, folder / "model.onnx")
        signature = format_named("onnx").describe(folder).signature
        artifact = store.put_artifact(folder, "onnx")
    random = np.random.default_rng(0)
    arrays = {}
    for tensor in signature.inputs:
        shape = (SAMPLES, *(n if isinstance(n, int) else 1 for n in tensor.shape[1:]))
        arrays[tensor.name] = store.put_array(random.standard_normal(shape).astype(tensor.dtype))
    samples = Arrays(split="random", n=SAMPLES, arrays=arrays)
    return Task({SIDE: Side(parse_target(target), artifact, samples)})


def smallest(path: Path) -> Path:
    """A model of one addition: what is left of its time is the call itself."""
    import onnx
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 16]) for n in ("x", "y")]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])], "add", ends[:1], ends[1:]
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=opset), path)
    return path


# -- the agent against a bare loop


class BesideLease(LocalLease):
    """This machine, its agents with the bare loop beside."""

    def _command(self) -> tuple[str, ...]:
        return sys.executable, str(BESIDE)


class BesideSession(AgentSession):
    """An agent that can be asked for the bare loop."""

    def bare(self, loops: int) -> np.ndarray:
        """Nanoseconds of a bare loop over the open session, (loops,)."""
        turns = [[SIDE, self._task.sides[SIDE].feed, loops]]
        _, arrays = self._channel.ask("bare", Timed, turns=turns, timeout_s=60.0)
        return arrays["ns"]


def overhead(processes: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Nanoseconds through the agent over those of a bare loop, by model, and of the control.

    ``{model: {"agent" | "control": [{"ns": [first, second], "ratio": ...}, ...]}}``, medians of
    each process; the control is the bare loop against itself. In each fresh process the two take
    turns over one session.
    """
    with tempfile.TemporaryDirectory() as folder, Store(f"{folder}/store") as store:
        models = {"shipped network": SHIPPED, "one addition": smallest(Path(folder) / "add.onnx")}
        tasks = {name: task_of(store, path, "local/onnxruntime") for name, path in models.items()}
        found: dict[str, Any] = {name: {"agent": [], "control": []} for name in models}
        for number in range(processes):
            for name, task in tasks.items():
                for kind in ("agent", "control"):
                    pair = _pair(task, store, Path(folder), kind, number)
                    found[name][kind].append(pair)
                    tell(f"{number + 1}/{processes} {name}, {kind}: {pair['ratio']:.4f}")
    return found


def _pair(task: Task, store: Store, folder: Path, kind: str, number: int) -> dict[str, Any]:
    """Medians of two loops that take turns in a fresh process, and their ratio."""
    with bench_lock(True), tempfile.TemporaryDirectory(dir=folder) as place:
        lease = BesideLease("local", Path(place), None)
        task.put(lease, store)
        with lease.start_agent() as channel:
            session = BesideSession(channel, task)
            session.feed(take=SAMPLES, batch=1)
            session.open(SIDE)
            ours: Take = lambda loops: session.time([(SIDE, loops)], timeout_s=60.0)[0]  # noqa: E731
            takes = (ours if kind == "agent" else session.bare, session.bare)
            return _turns(takes, number)


def _turns(takes: tuple[Take, Take], number: int) -> dict[str, Any]:
    order = (0, 1, 1, 0) if number % 2 == 0 else (1, 0, 0, 1)
    fastest = min(np.median(takes[index](ROUGH_LOOPS)) for index in order)
    loops = int(np.clip(TURN_NS / fastest, 1, MOST_LOOPS))  # the same: it is one model
    taken: dict[int, list[np.ndarray]] = {0: [], 1: []}
    for turn in range(2 * (WARM_TURNS + TURNS)):
        ns = takes[order[turn % 4]](loops)
        if turn >= 2 * WARM_TURNS:
            taken[order[turn % 4]].append(ns)
    ms = [percentile(np.concatenate(taken[index]), 50.0) for index in (0, 1)]
    return {"ns": [1e6 * each for each in ms], "ratio": ms[0] / ms[1]}


def overhead_rows(found: dict[str, Any]) -> list[list[str]]:
    """Model, what was paired, medians, their difference, the ratio, whether it is within 1%."""
    rows = []
    for model, kinds in found.items():
        for kind, pairs in kinds.items():
            over = geometric_interval([pair["ratio"] for pair in pairs])
            assert over.low is not None and over.high is not None, "one pair has no interval"
            us = [1e-3 * float(np.median([pair["ns"][i] for pair in pairs])) for i in (0, 1)]
            less = 1e-3 * float(np.median([pair["ns"][0] - pair["ns"][1] for pair in pairs]))
            names = "agent / bare loop" if kind == "agent" else "bare loop / bare loop"
            inside = over.low >= 1 - WITHIN and over.high <= 1 + WITHIN
            outside = over.high < 1 - WITHIN or over.low > 1 + WITHIN
            rows.append(
                [model, names, str(over.n), f"{us[0]:,.2f} us", f"{us[1]:,.2f} us",
                 f"{less:+.2f} us", f"{over.value:.4f}x ({over.low:.4f} to {over.high:.4f}x)",
                 "yes" if inside else "no" if outside else "not shown"]
            )  # fmt: skip
    return rows


# -- from an artifact to its first answer

STEPS = ("connect", "put files", "agent and runtime", "load and answer")


def roads(rounds: int, tell: Callable[[str], None]) -> dict[str, list[list[float]]]:
    """Seconds of each step, by road, round after round.

    Cold: the board has nothing of edgeopt. Warm: it has the agent, the model and the samples.
    """
    sys.path.insert(0, str(ROOT / "tests" / "devices"))
    from loopback import board

    found: dict[str, list[list[float]]] = {"local": [], "ssh, cold": [], "ssh, warm": []}
    with board() as there, tempfile.TemporaryDirectory() as folder, Store(folder) as store:
        os.environ["EDGEOPT_DEVICES"] = str(there.devices())
        here = task_of(store, SHIPPED, "local/onnxruntime")
        away = task_of(store, SHIPPED, "ssh:board/onnxruntime")
        for number in range(rounds):
            for road, steps in found.items():
                if road == "ssh, cold":
                    shutil.rmtree(there.work, ignore_errors=True)
                steps.append(_road(here if road == "local" else away, store))
                there.nothing_left()
                tell(f"{number + 1}/{rounds} {road}: {sum(steps[-1]):.2f} s")
    return found


def _road(task: Task, store: Store) -> list[float]:
    """Seconds of each of ``STEPS``."""
    with store.workdir() as folder:
        marks = [time.monotonic()]
        with device_named(task.device).lease(folder, exclusive=False) as lease:
            marks.append(time.monotonic())
            task.put(lease, store)
            marks.append(time.monotonic())
            with agent_session(lease, task) as agent:
                marks.append(time.monotonic())
                agent.open(SIDE)
                agent.feed(take=1, batch=1)
                agent.run(SIDE, 0, 1, 1, pad=False)
                marks.append(time.monotonic())
    return [float(seconds) for seconds in np.diff(marks)]


def road_rows(found: dict[str, list[list[float]]]) -> list[list[str]]:
    """Road, the total's median and range, and medians of the steps."""
    rows = []
    for road, rounds in found.items():
        totals = sorted(sum(steps) for steps in rounds)
        told = f"{np.median(totals):.2f} s ({totals[0]:.2f} to {totals[-1]:.2f} s)"
        steps = [f"{np.median(each):.2f} s" for each in zip(*rounds, strict=True)]
        rows.append([road, str(len(rounds)), told, *steps])
    return rows
