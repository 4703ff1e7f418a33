"""How far a score depends on which calibration samples were drawn, and on how many.

    python benchmarks/calibration_draws.py [RECIPE] [--draws 5] [--sizes 8 32 128 512]

RECIPE has a split ``train`` to draw from; default: that of Fashion-MNIST. The draws of one size
are windows of it that share no sample. Each quantizes the simplified ONNX export (u8s8-safe), which
is scored on the validation split; nothing is raced. Prints a row for each size: the mean over the
draws of accuracy, agreement with the source and signal to noise, with the standard deviation.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import edgeopt
from edgeopt.recipe import load_recipe

HERE = Path(__file__).resolve().parent
FORM = "u8s8-safe"
FIGURES = {"accuracy": 100, "fidelity.agreement": 100, "fidelity.sqnr": 1}  # in points, in dB
PASSES: list[Any] = ["export-onnx", "simplify-onnx", {"quantize-int8": {"scheme": FORM}}]


def scored(recipe: Path, window: str) -> dict[str, float]:
    """Figures on the validation split of the file that a window of samples gives."""
    data = load_recipe(recipe).to_json()["data"]
    data["splits"] = {"calibration": window, "validation": data["splits"]["validation"]}
    result = edgeopt.optimize(
        recipe, data=data, passes=PASSES, targets=["local/onnxruntime"], constraints=[], race=False,
        objective="size",
    )  # fmt: skip
    (target,) = result.targets
    (made,) = (c for c in target.candidates if f"scheme={FORM}" in c.label)
    return {name: made.measurements[name].value for name in FIGURES if name in made.measurements}


def main() -> None:
    """Draw, quantize, score; print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("recipe", type=Path, nargs="?",
                        default=HERE.parent / "recipes" / "fashion-mnist.yaml")  # fmt: skip
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 32, 128, 512])
    asked = parser.parse_args()
    print("| samples | " + " | ".join(FIGURES) + " |\n| ---: |" + " ---: |" * len(FIGURES))
    for size in asked.sizes:
        drawn = [
            scored(asked.recipe, f"train[{i * size}:{(i + 1) * size}]") for i in range(asked.draws)
        ]
        cells = []
        for name, unit in FIGURES.items():
            values = [unit * each[name] for each in drawn if name in each]
            cells.append(f"{mean(values):.2f} ± {stdev(values):.2f}" if values else "-")
        print(f"| {size} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
