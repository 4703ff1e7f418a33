"""What the agent can be asked to do: one method a request.

Requests are ``{"do": NAME, ...}``; answers are ``{"ok": {...}}`` or ``{"error": {type, what,
where, hint}}``, arrays beside them. Order of a measurement: ``hello``, ``runtime``, ``feed``,
``open``, then ``run``, ``time``, ``count``, ``placement``, ``memory``, ``state`` as needed,
``close``. Two runtimes may be loaded, for a race between them. ``accelerators`` asks a runtime
what it finds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
import traceback
from typing import Any, ContextManager, Dict, List, Mapping, Optional, Tuple

import numpy as np

from . import counting, feeds, files, machine, memory, protocol, sessions, timing
from .errors import AgentError, one_line
from .foreign import calling
from .whole import of_samples

Answer = Tuple[Dict[str, Any], Dict[str, np.ndarray]]
TIMED_MAX = 1 << 22
OF_MODELS = ("open", "run", "time", "count", "placement")  # whose failure is the model's


class Agent:
    """State of one agent process: runtimes, feeds and open sessions by name."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._loaded: Dict[str, Tuple[Any, int]] = {}  # runtime -> its module, threads
        self._feeds: Dict[str, Feed] = {}
        self._open: Dict[str, Opened] = {}
        self._requests = {
            "hello": hello, "runtime": self.runtime, "feed": self.feed, "open": self.open,
            "close": self.close, "run": self.run, "time": self.time, "count": self.count,
            "placement": self.placement, "memory": self.memory, "state": self.state,
            "accelerators": self.accelerators,
        }  # fmt: skip

    def answer(self, request: Mapping[str, Any], _arrays: Mapping[str, np.ndarray]) -> bytes:
        """The frame that answers a request. Never raises: errors cross as records."""
        name = str(request.get("do"))[:40]
        where = str(request.get("session") or name)[:200]
        try:
            fields, arrays = self._requests[name](request)
            return protocol.pack({"ok": fields}, arrays)
        except AgentError as error:
            error.where = error.where or where
            return protocol.pack({"error": error.record()})
        except BaseException as error:
            traceback.print_exc(file=sys.stderr)
            kind = "ModelError" if name in OF_MODELS else "DeviceError"
            failed = AgentError(kind, one_line(error), where)
            return protocol.pack({"error": failed.record()})

    def leave(self) -> None:
        """Remove the sessions' folders."""
        for opened in list(self._open.values()):
            opened.remove()

    def used(self) -> None:
        """Tell a supervisor, which nobody asks anything meanwhile, that the host is there."""
        with contextlib.suppress(OSError):
            os.utime(self._root)

    def is_used(self, _within_s: float) -> bool:
        """Whether anything else shows that the host is there: only its requests do."""
        return False

    def runtime(self, request: Mapping[str, Any]) -> Answer:
        """Import a runtime with that many threads; its version as it tells it itself."""
        name, threads = str(request["name"]), int(request["threads"])
        module, version = sessions.load(name, threads)
        self._loaded[name] = module, threads
        return {"version": version}, {}

    def feed(self, request: Mapping[str, Any]) -> Answer:
        """Take arrays as samples; the first ``take`` of them, cycled, make batches to time.

        ``axes`` says where an input takes its samples, if not first: None, one that takes none.
        """
        axes = dict(request.get("axes") or {})
        feed = Feed(files.arrays(self._root, request["blobs"], axes), axes)
        feed.cycle(int(request["take"]), int(request["batch"]))
        self._feeds[str(request["feed"])] = feed
        return {"n": feed.n, "batches": len(feed.batches)}, {}

    def open(self, request: Mapping[str, Any]) -> Answer:
        """Load an artifact under a name; ``load_ns`` is the making of the session alone."""
        runtime = str(request["runtime"])
        if runtime not in self._loaded:
            raise AgentError("DeviceError", "this runtime was not loaded", runtime[:40])
        module, threads = self._loaded[runtime]
        opened = Opened(tempfile.mkdtemp(dir=self._root), runtime, module)
        try:
            files.folder(self._root, request["files"], opened.folder)
            start = time.perf_counter_ns()
            accelerator, settings = str(request["accelerator"]), request.get("settings", {})
            opened.session = sessions.open_session(
                runtime, module, opened.folder, accelerator, threads, settings,
                request.get("fixed"),
            )  # fmt: skip
            taken = time.perf_counter_ns() - start
        except BaseException:
            opened.remove()
            raise
        self._open[str(request["session"])] = opened
        session = opened.session
        return {
            "load_ns": taken,
            "inputs": session.inputs,
            "outputs": session.outputs,
            "device": str(getattr(session, "device", "")),
        }, {}

    def close(self, request: Mapping[str, Any]) -> Answer:
        """Forget a session and its files."""
        self._session(request)
        self._open.pop(str(request["session"])).remove()
        return {}, {}

    def run(self, request: Mapping[str, Any]) -> Answer:
        """Raw outputs of samples ``start`` to ``stop``, in batches; a short last one is padded.

        ``whole`` are the outputs without an axis of samples, with their shapes.
        """
        opened, feed = self._session(request), self._feed(request)
        batch, pad = int(request["batch"]), bool(request["pad"])
        start, stop = int(request["start"]), int(request["stop"])
        outputs = dict(request.get("outputs") or {})  # where they have their samples, if not first
        parts: Dict[str, List[np.ndarray]] = {name: [] for name in opened.session.outputs}
        whole = request.get("whole") or {}
        for first in range(start, stop, batch):
            count = min(batch, stop - first)
            size = batch if pad else count
            arrays = opened.answers(feed.batch(first, count, size))
            for name, array in zip(parts, arrays):  # noqa: B905 - Python 3.8; as many
                placed = feeds.samples_first(array, outputs.get(name, 0))
                parts[name].append(of_samples(name, placed, size, whole)[:count])
        return {}, {name: np.concatenate(chunks) for name, chunks in parts.items()}

    def time(self, request: Mapping[str, Any]) -> Answer:
        """Time ``turns`` of [session, feed, loops]; each session walks on through its feed."""
        turns = self._turns(request)
        with self._calling(request):
            return {"load": machine.load()}, {"ns": timing.time_turns(turns)}

    def count(self, request: Mapping[str, Any]) -> Answer:
        """Mark ``turns`` of [session, feed, loops] for an emulator that counts instructions."""
        turns = self._turns(request)
        with self._calling(request):
            return {"pairs": counting.count_turns(turns, int(request["warm"]))}, {}

    def placement(self, request: Mapping[str, Any]) -> Answer:
        """Nodes per provider, as the runtime itself reports them of one run."""
        opened, feed = self._session(request), self._feed(request)
        prepared = opened.prepared(feed)[0]
        return {"nodes": sessions.placed(*opened.code, opened.session, prepared)}, {}

    def memory(self, request: Mapping[str, Any]) -> Answer:
        """Bytes now and at their peak, resident and on the accelerator where it is known.

        ``reset`` starts the peaks anew first.
        """
        reset = memory.reset() if request["reset"] else False
        own = [getattr(module, "peak", None) for module, _ in self._loaded.values()]
        peaks = [peak(bool(request["reset"])) for peak in own if peak]
        return {"reset": reset, "accelerator_bytes": sum(peaks), **memory.reading()}, {}

    def accelerators(self, request: Mapping[str, Any]) -> Answer:
        """What an installed runtime can run on here: accelerator -> the device behind it."""
        return {"found": sessions.accelerators_of(str(request["runtime"]))}, {}

    def state(self, request: Mapping[str, Any]) -> Answer:
        """Temperature and clock now, None where the kernel does not tell them."""
        return machine.state(), {}

    def _turns(self, request: Mapping[str, Any]) -> List[timing.Turn]:
        """The turns asked for; each session walks on through its feed."""
        planned = [
            (self._session({"session": name}), self._feed({"feed": feed}), int(loops))
            for name, feed, loops in request["turns"]
        ]
        if sum(loops for _, _, loops in planned) > TIMED_MAX:
            raise AgentError("DeviceError", "too many inferences in one request", "turns")
        turns: List[timing.Turn] = []
        for opened, feed, loops in planned:
            prepared = opened.prepared(feed)
            turns.append((opened.session, prepared, opened.position, loops))
            opened.position = (opened.position + loops) % len(prepared)
        return turns

    def _calling(self, request: Mapping[str, Any]) -> ContextManager[None]:
        """Around the calls of a request's turns."""
        used = {self._session({"session": name}).code for name, _, _ in request["turns"]}
        return calling("call()", *used)

    def _session(self, request: Mapping[str, Any]) -> Opened:
        name = str(request["session"])
        if name not in self._open:
            raise AgentError("DeviceError", "no such session is open", name)
        return self._open[name]

    def _feed(self, request: Mapping[str, Any]) -> Feed:
        name = str(request["feed"])
        if name not in self._feeds:
            raise AgentError("DeviceError", "no such feed", name)
        return self._feeds[name]


def hello(request: Mapping[str, Any]) -> Answer:
    """Python, machine, and the runtimes that are installed, or why one is not."""
    return {
        "protocol": protocol.VERSION,
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "executable": sys.executable or "",
        "machine": machine.facts(),
        "runtimes": sessions.versions(),
        "missing": sessions.missing(),
    }, {}


class Opened:
    """A session, the folder it was loaded from and where it stands in the feed."""

    def __init__(self, folder: str, runtime: str, module: Any) -> None:
        self.folder = folder
        self.code = runtime, module
        self.session: Any = None
        self.position = 0
        self._prepared: Dict[int, List[Any]] = {}

    def prepared(self, feed: Feed) -> List[Any]:
        """The feed's batches as the session takes them, made once."""
        if id(feed) not in self._prepared:
            with calling("prepare()", self.code):
                self._prepared[id(feed)] = [self.session.prepare(batch) for batch in feed.batches]
        return self._prepared[id(feed)]

    def answers(self, batch: Dict[str, np.ndarray]) -> List[np.ndarray]:
        """What the session answers to a batch, by output."""
        with calling("prepare()", self.code):
            prepared = self.session.prepare(batch)
        with calling("call()", self.code):
            result = self.session.call(prepared)
        return sessions.arrays_of(*self.code, self.session, result)

    def remove(self) -> None:
        """Remove the files; the session goes with its last reference."""
        self.session = None
        shutil.rmtree(self.folder, ignore_errors=True)


class Feed:
    """Samples by input, mapped from their files, and batches of them to time with."""

    def __init__(self, arrays: Dict[str, np.ndarray], axes: Optional[feeds.Axes] = None) -> None:
        self._arrays, self._axes = arrays, axes or {}
        self.n = int(next(iter(arrays.values())).shape[0])
        self.batches: List[Dict[str, np.ndarray]] = []

    def cycle(self, take: int, batch: int) -> None:
        """Copy the first ``take`` samples into whole batches, wrapping at the end."""
        take = min(take, self.n)
        for first in range(0, take, batch):
            index = (first + np.arange(batch)) % take
            self.batches.append(self._taken(index))

    def batch(self, first: int, count: int, size: int) -> Dict[str, np.ndarray]:
        """``count`` samples from ``first``, the last one repeated up to ``size``."""
        index = np.minimum(first + np.arange(size), first + count - 1)
        return self._taken(index)

    def _taken(self, index: np.ndarray) -> Dict[str, np.ndarray]:
        rows = {name: array[index] for name, array in self._arrays.items()}
        return feeds.as_fed(rows, self._axes)
