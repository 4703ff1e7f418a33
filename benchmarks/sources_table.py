"""What became of a source in each runtime, FP32 and INT8, as a Markdown table for the docs.

    edgeopt optimize recipes/keras.yaml --out FOLDER     # and each other recipe
    python benchmarks/sources_table.py FOLDER...

Left out are half precision and what was pruned or trained. Seconds are those of all passes of a
chain, without its checks.
"""

from __future__ import annotations

import sys
from typing import Any

import edgeopt
from edgeopt.schema.measurement import Measurement, figure, span
from edgeopt.schema.result import CandidateResult, TargetResult

COLUMNS = ("accuracy", "fidelity.agreement", "ratio.latency.p50")
LEFT_OUT = ("fp16", "prune", "distill", "qat")


def cell(found: Measurement | None) -> str:
    """A figure with its interval; fractions in percent."""
    if found is None:
        return "not measured"
    if found.unit != "fraction" or found.low is None or found.high is None:
        return f"{figure(found.value, found.unit)} ({span(*found.interval, found.unit)})"
    value, low, high = (100 * each for each in (found.value, found.low, found.high))
    return f"{value:.2f}% ({low:.2f} to {high:.2f}%)"


def rows(target: TargetResult) -> list[list[str]]:
    """A row for each candidate, by runtime, float first."""
    kept: list[tuple[Any, list[str]]] = []
    for each in target.candidates:
        if each.measurements and not any(word in each.label for word in LEFT_OUT):
            kept.append(row(each))
    return [cells for _, cells in sorted(kept, key=lambda pair: pair[0])]


def row(candidate: CandidateResult) -> tuple[Any, list[str]]:
    """Its place, and its cells."""
    runtime = candidate.target.rpartition("/")[2]
    steps = candidate.label.split(": ")[-1]
    seconds = sum(step.seconds or 0.0 for step in candidate.chain)
    size = candidate.measurements["size"].value / 1e3
    figures = [cell(candidate.measurements.get(name)) for name in COLUMNS]
    if candidate.reference:
        figures[-1] = "1.00x"
    cells = [runtime, steps, *figures, f"{size:.0f} kB", f"{seconds:.0f}"]
    return (runtime, "int8" in candidate.label, steps), cells


def main() -> None:
    """One table for each result."""
    head = ["runtime", "passes", "accuracy", "agreement", "p50 / reference", "size", "seconds"]
    for folder in sys.argv[1:]:
        result = edgeopt.load(folder)
        for target in result.targets:
            print(f"\n{folder}: {target.machine.get('cpu', '')}, {target.machine.get('isa', '')}, "
                  f"{result.seconds:.0f} s\n")  # fmt: skip
            print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
            for cells in rows(target):
                print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
