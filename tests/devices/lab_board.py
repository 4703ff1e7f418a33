"""A lab's own way to a board: speaks the two requests of docs/devices.md, knows nothing of edgeopt.

Run by tests as ``python lab_board.py``; here the "board" is this process with ONNX Runtime.
"""

import json
import os
import struct
import sys
import time

import numpy as np
import onnxruntime

OUT = os.dup(1)
os.dup2(2, 1)
PREFIX = struct.Struct(">4sIQ")
sessions = {}


def receive():
    prefix = sys.stdin.buffer.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        sys.exit()
    _, header, payload = PREFIX.unpack(prefix)
    asked = json.loads(sys.stdin.buffer.read(header))
    sys.stdin.buffer.read(payload)
    return asked


def answer(fields, arrays):
    described = [{"name": n, "dtype": a.dtype.name, "shape": a.shape} for n, a in arrays.items()]
    header = json.dumps({**fields, "arrays": described}).encode()
    payload = b"".join(np.ascontiguousarray(a).tobytes() for a in arrays.values())
    frame = PREFIX.pack(b"EOA1", len(header), len(payload)) + header + payload
    while frame:
        frame = frame[os.write(OUT, frame) :]


def infer(asked):
    key = json.dumps([asked["files"], asked["threads"]])
    if key not in sessions:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = asked["threads"]
        options.inter_op_num_threads = 1
        path = os.path.join(asked["folder"], asked["files"]["model.onnx"])
        start = time.perf_counter_ns()
        made = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        sessions[key] = made, time.perf_counter_ns() - start
    session, load_ns = sessions[key]
    names = [t.name for t in session.get_outputs()]
    told = {
        "load_ns": load_ns,
        "inputs": [{"name": t.name, "dtype": "float32", "shape": t.shape}
                   for t in session.get_inputs()],
        "outputs": names,
        "nodes": {"CPUExecutionProvider": 1},
    }  # fmt: skip
    feeds = {n: np.load(os.path.join(asked["folder"], d)) for n, d in asked["feeds"].items()}
    first, count, batch = asked["first"], asked["count"], asked["batch"]
    if asked["loops"]:
        taken = []
        for loop in range(asked["loops"] + 1):
            index = (first + (loop - 1) * batch + np.arange(batch)) % count
            fed = {name: array[index] for name, array in feeds.items()}
            start = time.perf_counter_ns()
            session.run(None, fed)
            taken.append(time.perf_counter_ns() - start)
        return told, {"ns": np.array(taken[1:], np.int64)}
    parts = []
    for at in range(first, first + count, batch):
        index = np.minimum(at + np.arange(batch), first + count - 1)
        found = session.run(None, {name: array[index] for name, array in feeds.items()})
        parts.append([part[: first + count - at] for part in found])
    whole = [np.concatenate(each) for each in zip(*parts)]  # noqa: B905
    return told, dict(zip(names, whole))  # noqa: B905


while True:
    asked = receive()
    try:
        if asked["do"] == "hello":
            runtimes = {"onnxruntime": onnxruntime.__version__}
            hello = {"protocol": 3, "machine": {"isa": "lab", "cores": 2}, "runtimes": runtimes}
            answer({"ok": hello}, {})
        else:
            told, arrays = infer(asked)
            answer({"ok": told}, arrays)
    except Exception as error:
        record = {"type": "ModelError", "what": str(error)[:500], "where": "lab", "hint": ""}
        answer({"error": record}, {})
