"""What importance is worth: the sensors' network, pruned by each, then distilled. A Markdown table.

    python benchmarks/importance.py [--macs 0.25] [--seed 0 ...]

Accuracy of validation and test split (777 and 773 windows), before training on validation and
after it on both: the mean over seeds, and each. A seed is that of the training; only `random`
also prunes otherwise by it. About ten seconds a training on one idle core.
"""

from __future__ import annotations

import argparse
import statistics
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from devices import header, table, tell
from recompute import prepared
from torch import nn
from torch_pruning_bare import source

from edgeopt.passes import Distill, PruneStructured
from edgeopt.pruning.importance import Kind

FOLDER = Path(__file__).resolve().parents[1] / "models" / "imu"
CALIBRATION = 512


def accuracy(module: nn.Module, samples: tuple[Any, Any]) -> float:
    """Share of right answers."""
    with torch.inference_mode():
        answers = module.eval()(torch.from_numpy(samples[0])).argmax(1).numpy()
    return float((answers == samples[1]).mean())


def told(values: Sequence[float]) -> str:
    """The mean and, where they differ, each."""
    each = ", ".join(f"{100 * value:.1f}" for value in values)
    return f"{100 * statistics.mean(values):.1f}%" + (f" ({each})" if len(set(values)) > 1 else "")


def measured(kind: str, macs: float, seeds: Sequence[int]) -> list[str]:
    """The row of one importance."""
    splits = {split: prepared("imu", split) for split in ("train", "validation")}
    images, labels = splits["train"]
    splits["calibration"] = images[:CALIBRATION], labels[:CALIBRATION]
    unseen = prepared("imu", "test")
    step = PruneStructured.model_validate({"macs": macs, "importance": kind})
    before, validation, test = [], [], []
    for seed in seeds:
        pruned = step(source(FOLDER), splits, seed=seed)
        before.append(accuracy(pruned, splits["validation"]))
        trained = Distill(epochs=12, lr=0.05)(pruned, splits, teacher=source(FOLDER), seed=seed)
        validation.append(accuracy(trained, splits["validation"]))
        test.append(accuracy(trained, unseen))
        tell(f"{kind}, seed {seed}: {before[-1]:.4f} {validation[-1]:.4f} {test[-1]:.4f}")
    return [f"`{kind}`", told(before), told(validation), told(test)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--macs", type=float, default=0.25, help="the fraction that stays")
    parser.add_argument("--seed", type=int, action="append", help="default: 0 to 4")
    asked = parser.parse_args()
    rows = [measured(kind, asked.macs, asked.seed or range(5)) for kind in typing.get_args(Kind)]
    print(f"{header()}\n")
    print(
        table(["`importance`", "validation, pruned", "validation, trained", "test, trained"], rows)
    )


if __name__ == "__main__":
    main()
