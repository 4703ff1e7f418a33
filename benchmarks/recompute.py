"""Score the shipped small networks again, with the runtimes alone and nothing of edgeopt.

    python benchmarks/recompute.py [FILE ...]

Reads models/TASK/compressed/figures.ISA.json and says for each file its accuracy on the test split,
computed here, beside the one that is stated for each kind of CPU. Exits with 1 where they are
further apart than the kernels of another CPU can explain (0.3 points).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

MODELS = Path(__file__).resolve().parents[1] / "models"
ARCHIVES = {"fashion_mnist": ("fashion_mnist.npz", "images"), "imu": ("imu.npz", "signal")}
ALLOWED = 0.003
BATCH = 100


def prepared(task: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs as the networks take them, float32 with channels first, and labels, int64."""
    name, array = ARCHIVES[task]
    with np.load(MODELS / task / name, allow_pickle=False) as archive:
        raw = archive[f"{split}.{array}"].astype(np.float32)
        labels = archive[f"{split}.label"].astype(np.int64)
    if task == "imu":
        return raw / np.float32(1000), labels
    return (raw[:, None] / np.float32(255) - np.float32(0.286)) / np.float32(0.353), labels


def onnx_classes(path: Path, inputs: np.ndarray) -> np.ndarray:
    """The top class of each sample in ONNX Runtime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (feed,) = session.get_inputs()
    count = feed.shape[0] if isinstance(feed.shape[0], int) else BATCH
    batches = [inputs[i : i + count] for i in range(0, len(inputs), count)]
    return np.concatenate([session.run(None, {feed.name: b})[0].argmax(1) for b in batches])


def tflite_classes(path: Path, inputs: np.ndarray) -> np.ndarray:
    """The top class of each sample in LiteRT, one at a time, quantized as its signature says."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    (feed,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    shape, (scale, zero) = tuple(feed["shape"]), feed["quantization"]
    classes = []
    for sample in inputs:
        one = sample[None]
        if one.shape != shape:
            one = np.moveaxis(one, 1, -1)
        if feed["dtype"] != np.float32:
            limits = np.iinfo(feed["dtype"])
            one = np.clip(np.round(one / scale) + zero, limits.min, limits.max)
        interpreter.set_tensor(feed["index"], np.ascontiguousarray(one, feed["dtype"]))
        interpreter.invoke()
        classes.append(int(interpreter.get_tensor(answer["index"]).argmax()))
    return np.array(classes)


def accuracy(task: str, path: Path) -> float:
    """Share of the test split that a file gets right."""
    inputs, labels = prepared(task, "test")
    classes = (tflite_classes if path.suffix == ".tflite" else onnx_classes)(path, inputs)
    return float((classes == labels).mean())


def main(asked: list[str]) -> int:
    """Score the files that were asked for, or all."""
    wrong = 0
    for task in ARCHIVES:
        folder = MODELS / task / "compressed"
        for name, said in sorted(stated(folder).items()):
            if asked and name not in {Path(each).name for each in asked}:
                continue
            found = accuracy(task, folder / name)
            apart = any(abs(found - each) > ALLOWED for each in said.values())
            wrong += apart
            told = ", ".join(f"stated {each:.2%} ({isa})" for isa, each in said.items())
            print(f"{task}/{name}: {found:.2%}, {told}{'  WRONG' if apart else ''}", flush=True)
    return int(wrong > 0)


def stated(folder: Path) -> dict[str, dict[str, float]]:
    """File to what is said of its accuracy, by the kind of CPU."""
    found: dict[str, dict[str, float]] = {}
    for place in sorted(folder.glob("figures.*.json")):
        files: dict[str, Any] = json.loads(place.read_text())["files"]
        for name, figures in files.items():
            isa = place.name.removeprefix("figures.").removesuffix(".json")
            found.setdefault(name, {})[isa] = figures["accuracy"]["value"]
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
