"""What an offline job brings back: read strictly, then measured as any race and score is."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from edgeopt.agent.protocol import DTYPES, RANK_MAX
from edgeopt.bench.agent_session import LONGEST_NS, StateReply
from edgeopt.bench.race import FEWEST_TURNS, value_of
from edgeopt.bench.runs import Run
from edgeopt.schema.artifact import Dim
from edgeopt.schema.base import Noun
from edgeopt.schema.errors import DataError, PlacementError
from edgeopt.schema.target import Target, parse_target
from edgeopt.stats.ratios import METHOD
from edgeopt.transport.channel import Hello, Reply

RESULT_MAX = 1 << 28  # bytes of a result's file
DIGEST = r"^[0-9a-f]{64}$"
Digest = Annotated[str, Field(pattern=DIGEST)]
Ns = Annotated[int, Field(gt=0, lt=LONGEST_NS)]
Side = Literal["a", "b"]


class PackedModel(Noun):
    """A model of a job: its files, its samples, and how many there are."""

    name: str
    files: dict[str, Digest]
    blobs: dict[str, Digest]
    n: int = Field(ge=1)
    size_bytes: int
    outputs: tuple[str, ...]
    axes: dict[str, int | None] = {}  # where inputs take their samples, if not first
    sampled: dict[str, int] = {}  # where outputs have theirs, if not first
    whole: dict[str, tuple[Dim, ...]] = {}  # shapes of the outputs that have none
    fixed: dict[str, list[int | None]] = {}  # sizes of each input that its session is made for


class Plan(Noun):
    """How long each race takes."""

    processes: int = Field(ge=3, le=15)
    turns: int
    turn_ms: float
    warm_ms: float
    process_s: float


class PackedJob(Noun):
    """What an archive asks a board to do; its digest is what the result must bear."""

    version: Literal[1] = 1
    target: str
    runtime: str
    accelerator: str
    threads: int
    batch: int
    settings: dict[str, str] = {}  # of the runtime's own
    schedule: Plan
    models: tuple[PackedModel, ...] = Field(min_length=1)
    data: str


class PackedOutput(Reply):
    """One output of all samples."""

    name: str = Field(max_length=1000)
    dtype: str
    shape: list[int] = Field(min_length=1, max_length=RANK_MAX)
    data: str


class PackedScore(Reply):
    """Outputs of one model, and where its nodes ran."""

    outputs: list[PackedOutput] = Field(min_length=1, max_length=256)
    nodes: dict[str, int]


class PackedRun(Reply):
    """One process of a race."""

    order: Literal["ab abba", "ba abba", "ab baab", "ba baab"]
    load_ns: dict[Side, Ns]
    turns: dict[Side, list[list[Ns]]]
    before: StateReply
    after: StateReply
    nodes: dict[Side, dict[str, int]]


class PackedHello(Hello):
    """A hello and the version that the runtime itself tells."""

    runtime_version: str = Field(max_length=200)


class PackedResult(Reply):
    """The whole of it. ``job`` is read apart: its digest must be one that was exported."""

    version: Literal[1]
    job: dict[str, Any]
    hello: PackedHello
    scores: list[PackedScore]
    races: list[list[PackedRun]]


def race_value(result: PackedResult, job: PackedJob, index: int, samples: str) -> dict[str, Any]:
    """The value of a model's race against the first. Raises DataError, PlacementError."""
    raw, where = result.races[index], job.models[index].name
    if len(raw) != job.schedule.processes:
        raise DataError(f"{len(raw)} processes, not {job.schedule.processes}", where=where)
    target = parse_target(job.target)
    runs = [_run(each, where) for each in raw]
    for each in raw:
        if set(each.nodes) != {"a", "b"}:
            raise DataError("a process does not say where both sides ran", where=where)
        for nodes in each.nodes.values():
            _check_placement(nodes, target, where)
    hello = result.hello
    machine = f"{target} {hello.runtime_version} {hello.machine.isa}"
    turns = min(len(side_turns) for run in runs for side_turns in run.turns.values())
    how = f"offline race: at least {turns} turns a side in each process, {METHOD}"
    frame = {"n": len(runs), "protocol": how, "samples": samples}
    machines = {"a": machine, "b": machine}
    marks = ["contended"] if job.threads >= hello.machine.cores else []
    placed = {str(side): dict(nodes) for side, nodes in raw[0].nodes.items()}
    return value_of(runs, frame, machines, placed, marks)


def outputs_of(score: PackedScore, job: PackedJob, index: int) -> dict[str, Any]:
    """Arrays by output name, (n, ...) each, without NaN. Raises DataError, PlacementError."""
    model = job.models[index]
    _check_placement(score.nodes, parse_target(job.target), model.name)
    arrays: dict[str, Any] = {}
    for output in score.outputs:
        where = f"{model.name}: {output.name}"
        if output.dtype not in DTYPES or min(output.shape) < 1 or output.shape[0] != model.n:
            raise DataError(
                f"output is {output.dtype}{output.shape} of {model.n} samples", where=where
            )
        try:
            data = base64.b64decode(output.data, validate=True)
            array = np.frombuffer(data, np.dtype(output.dtype)).reshape(output.shape)
        except (binascii.Error, ValueError) as error:
            raise DataError(f"output's bytes do not fit its shape: {error}", where=where) from None
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise DataError("output holds NaN", where=where)
        arrays[output.name] = array
    if len(arrays) != len(model.outputs):
        raise DataError(f"{len(arrays)} outputs, not {len(model.outputs)}", where=model.name)
    return arrays


def _run(raw: PackedRun, where: str) -> Run:
    if set(raw.turns) != {"a", "b"} or set(raw.load_ns) != {"a", "b"}:
        raise DataError("a process does not have two sides", where=where)
    if not all(raw.turns[side] and all(raw.turns[side]) for side in raw.turns):
        raise DataError("a process has a turn without a time", where=where)
    if min(map(len, raw.turns.values())) < FEWEST_TURNS:
        raise DataError(f"a process has fewer than {FEWEST_TURNS} turns a side", where=where)
    turns = {
        side: [np.array(ns, np.int64) for ns in side_turns]
        for side, side_turns in raw.turns.items()
    }
    return Run(
        raw.order,
        turns={str(side): side_turns for side, side_turns in turns.items()},
        load_ns={str(side): ns for side, ns in raw.load_ns.items()},
        before=raw.before,
        after=raw.after,
    )


def _check_placement(nodes: dict[str, int], target: Target, where: str) -> None:
    strangers = set(nodes) - target.nodes
    if strangers or sum(nodes.values()) < 1 or min(nodes.values()) < 0:
        raise PlacementError(
            "nodes ran on other providers than requested: "
            + (", ".join(sorted(strangers)) or "none"),
            where=where,
        )
