"""Print a result as a Markdown table for the docs: ratios with intervals, and the machine.

edgeopt optimize RECIPE --out FOLDER
python benchmarks/table.py FOLDER
"""

from __future__ import annotations

import re
import sys

import edgeopt
from edgeopt.schema.measurement import Measurement, figure, span
from edgeopt.schema.result import CandidateResult, TargetResult

COLUMNS = {
    "p50 / reference": "ratio.latency.p50",
    "accuracy to source": "difference.accuracy",
    "size / reference": "ratio.size",
}


def cell(found: Measurement | None) -> str:
    """A figure with its interval."""
    if found is None:
        return ""
    unit = "pt" if found.quantity.startswith("difference.") else found.unit
    text = figure(found.value, unit)
    return text if found.low is None else f"{text} ({span(*found.interval, unit)})"


def row(target: TargetResult, candidate: CandidateResult) -> list[str]:
    """Chain, how it stands, and its figures."""
    figures = [cell(candidate.measurements.get(quantity)) for quantity in COLUMNS.values()]
    label = re.sub(r"export-\w+ > ", "", target.named(candidate))
    return [label, candidate.status, *figures]


def main() -> None:
    """Print a table for each target."""
    for target in edgeopt.load(sys.argv[1]).targets:
        machine = target.machine
        print(f"{machine.get('cpu', '')}, {machine['isa']}, {target.target}, "
              f"runtime {machine['runtime_version']}\n")  # fmt: skip
        headers = ["candidate", "", *COLUMNS]
        print(f"| {' | '.join(headers)} |\n|{' --- |' * len(headers)}")
        ratio = COLUMNS["p50 / reference"]
        raced = [c for c in target.candidates if ratio in c.measurements]
        for candidate in sorted(raced, key=lambda c: c.measurements[ratio].value):
            print(f"| {' | '.join(row(target, candidate))} |")
        print()


if __name__ == "__main__":
    main()
