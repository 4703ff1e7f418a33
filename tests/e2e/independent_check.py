"""Check `make demo` with code that shares nothing with it: independent_check.py OUT_FOLDER."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

MODELS = Path(__file__).resolve().parents[2] / "models" / "fashion_mnist"


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def split(name):
    with np.load(MODELS / "fashion_mnist.npz", allow_pickle=False) as data:
        images = (data[f"{name}.images"][:, None].astype(np.float32) / 255 - 0.286) / 0.353
        return images, data[f"{name}.label"]


def accuracy(path, name):
    (images, labels), model = split(name), session(path)
    parts = [model.run(None, {"image": part})[0] for part in np.array_split(images, 100)]
    return float((np.concatenate(parts).argmax(1) == labels).mean())


def race(paths):  # log-ratio of median times; each turn is one untimed and 20 timed runs
    images, models, times = split("validation")[0][:64], [session(p) for p in paths], ([], [])
    for turn in range(60):
        for model, kept in zip(models, times, strict=True):
            for i in range(21):
                start = time.perf_counter_ns()
                model.run(None, {"image": images[(turn * 20 + i) % 64][None]})
                kept.extend([time.perf_counter_ns() - start] if i and turn >= 5 else [])
    return np.log(np.median(times[0]) / np.median(times[1]))


if sys.argv[1] == "--race":
    sys.exit(print(race(sys.argv[2:])))
target = json.loads((Path(sys.argv[1]) / "result.json").read_text())["targets"][0]
chosen = Path(sys.argv[1]) / target["path"]
(stated,) = [c["measurements"] for c in target["candidates"] if c["id"] == target["chosen"]]
for name, said in ("validation", stated), ("test", target["test"]["measurements"]):
    print(f"{name}: accuracy {accuracy(chosen, name)}, stated {said['accuracy']['value']}")
    assert accuracy(chosen, name) == said["accuracy"]["value"], name
command = [sys.executable, __file__, "--race", chosen, MODELS / "source.onnx"]
logs = [float(subprocess.check_output(command)) for _ in range(5)]
half = 2.776 * np.std(logs, ddof=1) / 5**0.5  # Student's t, four degrees of freedom, 95%
low, middle, high = (float(np.exp(np.mean(logs) + half * side)) for side in (-1, 0, 1))
a, b = (stated["ratio.latency.p50"][end] for end in ("low", "high"))
print(f"time against FP32: {low:.3f} to {high:.3f}x, stated {a:.3f} to {b:.3f}x")
assert low <= b and a <= high, "the two intervals do not overlap"
vnni = {"avx512_vnni", "avx_vnni"} & set(Path("/proc/cpuinfo").read_text().split())
assert (middle <= 1 / 1.3) if vnni else (low <= 1.0), "slower than it must be"
