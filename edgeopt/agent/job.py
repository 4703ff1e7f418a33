"""A whole measurement in one file, for a board that no host reaches: ``python3 job.pyz > FILE``.

The archive holds this package, ``job.json`` and ``blobs/DIGEST``. Each process of a race is a
fresh one, as on any device; what comes out is raw and is judged by the host that takes it back.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from typing import Any, Dict, List, Tuple

import numpy as np

from . import protocol
from .serve import Agent

SAMPLES, BATCH = 64, 32
FEWEST_TURNS, MOST_LOOPS, ROUGH_LOOPS = 6, 400, 3
CHUNK = 256  # samples an answer
ORDERS = ("ab abba", "ba abba", "ab baab", "ba baab")


def main() -> None:
    """Run the job of the archive, or, called by that, one process of it."""
    words = sys.argv[1:]
    if len(words) == 5 and words[0] == "--process":
        folder, kind, index, number = words[1:]
        with open(os.path.join(folder, "job.json"), encoding="utf-8") as file:
            answer = Process(folder, json.load(file)).run(kind, int(index), int(number))
        with open(os.path.join(folder, "told.json"), "w", encoding="utf-8") as file:
            json.dump(answer, file)
    elif words:
        raise SystemExit("usage: python3 {} > result.json".format(sys.argv[0]))
    else:
        _whole()


def _whole() -> None:
    out = os.dup(1)
    os.dup2(2, 1)  # what a runtime prints is no result
    with tempfile.TemporaryDirectory(prefix="edgeopt-job-") as folder:
        job = _unpacked(folder)
        result: Dict[str, Any] = {"version": 1, "job": job, "scores": [], "races": []}
        result["hello"] = _process(folder, "hello", 0, 0)
        for index in range(len(job["models"])):
            _say("{}: score".format(job["models"][index]["name"]))
            result["scores"].append(_process(folder, "score", index, 0))
            runs = []
            for number in range(job["schedule"]["processes"]):
                _say("{}: race, process {}".format(job["models"][index]["name"], number + 1))
                runs.append(_process(folder, "race", index, number))
            result["races"].append(runs)
    with os.fdopen(out, "w", encoding="utf-8") as file:
        json.dump(result, file)


def _unpacked(folder: str) -> Dict[str, Any]:
    """The archive's job; its blobs are verified and laid into the folder."""
    with zipfile.ZipFile(sys.argv[0]) as archive:
        text = archive.read("job.json")
        for name in archive.namelist():
            if name.startswith("blobs/"):
                data, digest = archive.read(name), name[len("blobs/") :]
                if hashlib.sha256(data).hexdigest() != digest:
                    raise SystemExit("{} is corrupt: copy the archive again".format(digest[:12]))
                with open(os.path.join(folder, digest), "wb") as file:
                    file.write(data)
    with open(os.path.join(folder, "job.json"), "wb") as file:
        file.write(text)
    job: Dict[str, Any] = json.loads(text.decode("utf-8"))
    return job


def _process(folder: str, kind: str, index: int, number: int) -> Any:
    words = [sys.executable, sys.argv[0], "--process", folder, kind, str(index), str(number)]
    env = dict(os.environ, TMPDIR=folder)  # what runtimes leave there goes with the folder
    code = subprocess.call(words, stdin=subprocess.DEVNULL, env=env)
    if code:
        raise SystemExit("the {} ended with exit status {}".format(kind, code))
    with open(os.path.join(folder, "told.json"), encoding="utf-8") as file:
        return json.load(file)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Process:
    """One fresh process: an agent that asks itself what a host would ask it."""

    def __init__(self, folder: str, job: Dict[str, Any]) -> None:
        self._agent, self._job = Agent(folder), job
        self._batch = int(job["batch"])

    def run(self, kind: str, index: int, number: int) -> Any:
        """The raw result of a hello, a score or one process of a race."""
        if kind == "hello":
            hello = self._ask("hello")[0]
            version = self._ask("runtime", name=self._job["runtime"], threads=1)[0]["version"]
            return dict(hello, runtime_version=version)
        self._ask("runtime", name=self._job["runtime"], threads=self._job["threads"])
        return self._score(index) if kind == "score" else self._race(index, ORDERS[number % 4])

    def _ask(self, do: str, **fields: Any) -> Tuple[Dict[str, Any], protocol.Arrays]:
        frame = self._agent.answer(dict(fields, do=do), {})
        header, arrays = protocol.unpack(io.BytesIO(frame).read)
        if "error" in header:
            error = header["error"]
            raise SystemExit("{where}: {what}\n  {hint}".format(**error))
        return header["ok"], arrays

    def _open(self, side: str, index: int, take: int, batch: int) -> Dict[str, Any]:
        model = self._job["models"][index]
        axes = model.get("axes")
        self._ask("feed", feed=side, blobs=model["blobs"], axes=axes, take=take, batch=batch)
        fields = {key: self._job[key] for key in ("runtime", "accelerator", "settings")}
        fields["fixed"] = model["fixed"]
        return self._ask("open", session=side, files=model["files"], **fields)[0]

    def _score(self, index: int) -> Dict[str, Any]:
        opened = self._open("a", index, self._batch, self._batch)
        model = self._job["models"][index]
        axes = model.get("axes", {})
        placed = [(t["shape"], axes.get(t["name"], 0)) for t in opened["inputs"]]
        sizes = [shape[axis] for shape, axis in placed if axis is not None and shape]
        fixed = [size for size in sizes if isinstance(size, int)]
        as_raced = bool(model["fixed"])
        batch = fixed[0] if fixed else self._batch if as_raced else BATCH
        n = int(model["n"])
        parts: Dict[str, List[np.ndarray]] = {name: [] for name in opened["outputs"]}
        for start in range(0, n, CHUNK // batch * batch or batch):
            stop = min(n, start + (CHUNK // batch * batch or batch))
            asked = {"session": "a", "feed": "a", "batch": batch, "pad": bool(fixed) or as_raced}
            asked.update(outputs=model.get("sampled"), whole=model.get("whole"))
            for name, array in self._ask("run", start=start, stop=stop, **asked)[1].items():
                parts[name].append(array)
        placed = self._ask("placement", session="a", feed="a")[0]["nodes"]
        outputs = [_encoded(name, np.concatenate(chunks)) for name, chunks in parts.items()]
        return {"outputs": outputs, "nodes": placed}

    def _race(self, index: int, order: str) -> Dict[str, Any]:
        indices = {"a": index, "b": 0}
        loading, turns = order.split()
        self._open(loading[0], indices[loading[0]], SAMPLES, self._batch)
        self._ask("close", session=loading[0])
        load_ns = {}
        for side in loading:
            load_ns[side] = self._open(side, indices[side], SAMPLES, self._batch)["load_ns"]
        plan = self._job["schedule"]
        rough = self._medians({"a": ROUGH_LOOPS, "b": ROUGH_LOOPS})
        medians = self._medians({s: _loops(plan["warm_ms"], rough[s]) for s in "ab"})
        loops = {side: _loops(plan["turn_ms"], medians[side]) for side in "ab"}
        pair_s = sum((loops[side] + 1) * medians[side] for side in "ab") / 1e3
        count = int(np.clip(plan["process_s"] / pair_s, FEWEST_TURNS, plan["turns"])) // 2
        taken: Dict[str, List[List[int]]] = {"a": [], "b": []}
        before = self._ask("state")[0]
        for _ in range(count):
            ns = self._time([(side, loops[side]) for side in turns])
            for side, each in zip(turns, ns):  # noqa: B905 - Python 3.8
                taken[side].append([int(n) for n in each])
        after = self._ask("state")[0]
        nodes = {s: self._ask("placement", session=s, feed=s)[0]["nodes"] for s in "ab"}
        return {"order": order, "load_ns": load_ns, "turns": taken, "before": before,
                "after": after, "nodes": nodes}  # fmt: skip

    def _medians(self, loops: Dict[str, int]) -> Dict[str, float]:
        ns = self._time([(side, loops[side]) for side in "ab"])
        return {side: float(np.median(each)) / 1e6 for side, each in zip("ab", ns)}  # noqa: B905

    def _time(self, turns: List[Tuple[str, int]]) -> List[np.ndarray]:
        planned = [[side, side, loops] for side, loops in turns]
        ns = self._ask("time", turns=planned)[1]["ns"]
        return np.split(ns, np.cumsum([loops for _, loops in turns])[:-1])


def _loops(turn_ms: float, each_ms: float) -> int:
    return int(np.clip(round(turn_ms / each_ms), 1, MOST_LOOPS))


def _encoded(name: str, array: np.ndarray) -> Dict[str, Any]:
    data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    text = base64.b64encode(data).decode("ascii")
    return {"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "data": text}
