"""An agent with a runtime and samples, ready to open artifacts: every answer is checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, Self

import numpy as np
from pydantic import Field

from edgeopt.agent import protocol
from edgeopt.bench.task import Task
from edgeopt.schema.errors import DeviceError, EdgeoptError, ModelError, PlacementError
from edgeopt.schema.job import Arrays
from edgeopt.transport.channel import Channel, Hello, Reply
from edgeopt.transport.kinds import Lease

FALLBACK = "fallback"  # the mark of figures whose nodes ran elsewhere, by the user's leave
LONGEST_NS = 3600 * 10**9
COUNT_S = 1800.0  # an inference takes seconds under emulation


class TensorSpec(Reply):
    """An input as the runtime reports it; a free dimension is a string."""

    name: str
    dtype: str
    shape: list[int | str]


class Opened(Reply):
    """A session: how long it took to make, what it takes and gives."""

    load_ns: int = Field(ge=0, le=LONGEST_NS)
    inputs: list[TensorSpec] = Field(min_length=1)
    outputs: list[str] = Field(min_length=1)
    device: str = Field("", max_length=200)  # of an accelerator, in its own words

    axes: dict[str, int | None] = {}  # of the samples in inputs, as they are fed, if not first

    @property
    def batch(self) -> int | None:
        """The fixed batch, or None where it is free."""
        placed = [(t.shape, self.axes.get(t.name, 0)) for t in self.inputs if t.shape]
        sizes = [shape[axis] for shape, axis in placed if axis is not None]
        return next((size for size in sizes if isinstance(size, int)), None)


class RuntimeReply(Reply):
    """A runtime that was imported."""

    version: str


class Fed(Reply):
    """Samples that were taken."""

    n: int
    batches: int


class Timed(Reply):
    """The load average beside the times."""

    load: float | None


class Counted(Reply):
    """Pairs of marks that were made."""

    pairs: int = Field(ge=0)


class Placed(Reply):
    """Nodes per provider."""

    nodes: dict[str, int]


class MemoryReply(Reply):
    """Resident memory; ``reset`` says whether the peak was started anew."""

    reset: bool
    rss_bytes: int = Field(ge=0)
    peak_bytes: int = Field(ge=0)
    accelerator_bytes: int = Field(0, ge=0)  # peak on the accelerator; 0 where it is not told


class StateReply(Reply):
    """Temperature and clock at a moment, None where the device tells none."""

    temperature_c: float | None = None
    frequency_mhz: float | None = Field(None, ge=0)


class Empty(Reply):
    """Nothing but that it is done."""


class AgentSession:
    """A fresh agent process for a task. Made by ``agent_session``."""

    def __init__(self, channel: Channel, task: Task) -> None:
        self._channel, self._task = channel, task
        self.hello, _ = channel.ask("hello", Hello)
        self._versions: dict[str, str] = {}
        self._devices: dict[str, str] = {}
        self.fallbacks: set[str] = set()  # sides with nodes elsewhere, by the user's leave
        for side in task.sides.values():
            name = side.target.runtime
            if name not in self._versions:
                answer, _ = channel.ask(
                    "runtime", RuntimeReply, name=name, threads=side.target.threads
                )
                self._versions[name] = answer.version

    def machine(self, side: str) -> str:
        """Target, runtime version, ISA and accelerator: part of every Measurement."""
        target = self._task.sides[side].target
        told = (target, self._versions[target.runtime], self.hello.machine.isa,
                self._devices.get(side, ""))  # fmt: skip
        return " ".join(filter(None, map(str, told)))

    @property
    def contended(self) -> bool:
        """Whether the target's threads leave no core for anything else."""
        return self._task.threads >= self.hello.machine.cores

    def feed(self, take: int, batch: int) -> None:
        """Map the samples; the first ``take`` make batches to time with. Raises DeviceError."""
        for name, samples in {s.feed: s.samples for s in self._task.sides.values()}.items():
            blobs = {name: ref.blob for name, ref in samples.arrays.items()}
            axes: dict[str, Any] = {"axes": samples.axes} if samples.axes else {}
            fed, _ = self._channel.ask(
                "feed", Fed, feed=name, blobs=blobs, take=take, batch=batch, **axes
            )
            if fed.n != samples.n:
                raise DeviceError(f"agent found {fed.n} samples, not {samples.n}")

    def open(self, side: str) -> Opened:
        """Make a session of a side's artifact. Raises ModelError where its inputs do not fit."""
        what = self._task.sides[side]
        with _naming(f"{side} ({what.artifact.digest[:12]})"):
            opened, _ = self._channel.ask(
                "open",
                Opened,
                session=side,
                files=what.artifact.files,
                runtime=what.target.runtime,
                accelerator=what.target.accelerator,
                settings=what.target.choices,
                fixed=what.sizes(one_size=self._task.one_size),
            )
            self._devices[side] = opened.device
            check_inputs(opened, what.samples)
        return opened.model_copy(update={"axes": what.samples.axes})

    def close(self, side: str) -> None:
        """Drop a session."""
        self._channel.ask("close", Empty, session=side)

    def run(self, side: str, start: int, stop: int, batch: int, pad: bool) -> protocol.Arrays:
        """Raw outputs of samples ``start`` to ``stop``."""
        what = self._task.sides[side]
        more: dict[str, Any] = {"outputs": what.samples.outputs} if what.samples.outputs else {}
        if what.whole:
            more["whole"] = {name: list(shape) for name, shape in what.whole.items()}
        _, arrays = self._channel.ask(
            "run",
            Empty,
            session=side,
            feed=what.feed,
            start=start,
            stop=stop,
            batch=batch,
            pad=pad,
            **more,
        )
        return arrays

    def time(self, turns: Sequence[tuple[str, int]], timeout_s: float) -> list[np.ndarray]:
        """Nanoseconds of each turn's inferences, (loops,) each. Raises DeviceError."""
        planned = [[side, self._task.sides[side].feed, loops] for side, loops in turns]
        _, arrays = self._channel.ask("time", Timed, turns=planned, timeout_s=timeout_s)
        taken, total = arrays.get("ns"), sum(loops for _, loops in turns)
        if taken is None or taken.dtype != np.int64 or taken.shape != (total,):
            raise DeviceError(f"agent gave no {total} times", where=turns[0][0])
        if total and not (taken.min() > 0 and taken.max() < LONGEST_NS):
            raise DeviceError("agent gave times that cannot be", where=turns[0][0])
        stops = np.cumsum([loops for _, loops in turns])[:-1]
        return list(np.split(taken, stops))

    def count(self, turns: Sequence[tuple[str, int]], warm: int) -> list[np.ndarray]:
        """What an emulator counted between marks: of nothing, then of each turn's inferences.

        (pairs, counters) each. Raises DeviceError where nothing counts.
        """
        planned = [[side, self._task.sides[side].feed, loops] for side, loops in turns]
        counted, _ = self._channel.ask(
            "count", Counted, turns=planned, warm=warm, timeout_s=COUNT_S
        )
        marks = np.array(self._channel.counted(2 * counted.pairs), dtype=np.int64)
        taken = marks[1::2] - marks[::2]
        empty = counted.pairs - sum(loops for _, loops in turns)
        stops = np.cumsum([empty, *(loops for _, loops in turns)])[:-1]
        return list(np.split(taken, stops))

    def placement(self, side: str) -> dict[str, int]:
        """Nodes per provider as the runtime reports them.

        Raises PlacementError where they ran elsewhere than asked, unless the task allows it.
        """
        what = self._task.sides[side]
        placed, _ = self._channel.ask("placement", Placed, session=side, feed=what.feed)
        target = what.target
        allowed = target.nodes
        strangers = {name: n for name, n in placed.nodes.items() if name not in allowed}
        if sum(placed.nodes.values()) < 1:
            raise PlacementError("no node is known to have run", where=f"{target}: {side}")
        if strangers and not self._task.allow_fallback:
            placements = ", ".join(f"{n} on {name}" for name, n in placed.nodes.items())
            raise PlacementError(
                f"nodes ran on other providers than requested: {placements}",
                where=f"{target}: {side}",
                hint=f"requested: {', '.join(sorted(allowed))}; to measure anyway and mark the "
                "figures, use --allow-fallback (in a recipe allow_fallback: true)",
            )
        if strangers:
            self.fallbacks.add(side)
        return placed.nodes

    def state(self) -> StateReply:
        """Temperature and clock now."""
        return self._channel.ask("state", StateReply)[0]

    def memory(self, reset: bool) -> MemoryReply:
        """Resident memory of the agent's process."""
        return self._channel.ask("memory", MemoryReply, reset=reset)[0]


@contextmanager
def agent_session(lease: Lease, task: Task) -> Iterator[AgentSession]:
    """A fresh agent process, its runtime imported; it ends with the context."""
    with lease.start_agent() as channel:
        yield AgentSession(channel, task)


class FreshAgents:
    """Fresh agent processes, one after the other; the next few get ready together.

    Starting Python and importing a runtime takes longer than many a process's turns. Those that
    wait are idle: nothing starts while another is timed. Used as a context, it ends them all.
    """

    def __init__(self, lease: Lease, task: Task) -> None:
        self._lease, self._task = lease, task
        self._ready: list[tuple[ExitStack, AgentSession]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stack, _agent in self._ready:
            stack.close()
        self._ready = []

    @contextmanager
    def one(self, wanted: int) -> Iterator[AgentSession]:
        """The next one, which ends with this context; about ``wanted`` are to come, it included."""
        if not self._ready:
            self._start(max(1, min(wanted, self._lease.at_once)))
        stack, agent = self._ready.pop(0)
        with stack:
            yield agent

    def _start(self, count: int) -> None:
        """Processes belong to this thread: they end with it. Only their imports are awaited in
        others."""
        with ExitStack() as cleared:
            stacks = [cleared.enter_context(ExitStack()) for _ in range(count)]
            channels = [stack.enter_context(self._lease.start_agent()) for stack in stacks]
            with ThreadPoolExecutor(count) as pool:
                agents = list(pool.map(lambda channel: AgentSession(channel, self._task), channels))
            cleared.pop_all()
            self._ready = list(zip(stacks, agents, strict=True))


def check_inputs(opened: Opened, samples: Arrays) -> None:
    """Raise ModelError unless every input has samples of its type and shape."""
    names = {tensor.name for tensor in opened.inputs}
    if names != set(samples.arrays):
        raise ModelError(
            f"the model takes {', '.join(sorted(names))}; "
            f"the samples have {', '.join(sorted(samples.arrays))}"
        )
    for tensor in opened.inputs:
        ref = samples.arrays[tensor.name]
        axis, wanted, held = samples.axes.get(tensor.name, 0), list(tensor.shape), list(ref.shape)
        if axis is not None:  # the shapes of one sample
            wanted, held = wanted[:axis] + wanted[axis + 1 :], held[1:]
        fits = len(ref.shape) == len(tensor.shape) and all(
            isinstance(want, str) or want == have for want, have in zip(wanted, held, strict=True)
        )
        if ref.dtype != tensor.dtype or not fits:
            raise ModelError(
                f"input '{tensor.name}' takes {tensor.dtype}{tensor.shape}; "
                f"the samples are {ref.dtype}{list(ref.shape)}"
            )


@contextmanager
def _naming(where: str) -> Iterator[None]:
    try:
        yield
    except EdgeoptError as error:
        error.where = f"{where}: {error.where}" if error.where else where
        raise
