"""What edgeopt costs beside the libraries: from a model's file to all artifacts, nothing raced.

    python benchmarks/file_to_artifacts.py [keras savedmodel onnx torch] [--rounds 5]

A round runs, in turn and in changing order, ``bare_files.py`` and ``edgeopt optimize
artifacts/SOURCE.yaml --no-bench`` from an empty store. Prints seconds and the peak memory of the
largest process of either side, and their ratios. ``onnx`` needs the tool environment:
``edgeopt env make onnx2tf``. Leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from edgeopt.agent.machine import facts
from edgeopt.environments import environment

HERE = Path(__file__).resolve().parent
SOURCES = ("keras", "savedmodel", "onnx", "torch")
ALLOWED_RATIO, ALLOWED_S, ALLOWED_MEMORY = 1.15, 2.0, 1.2
# Runs a command and prints its seconds and the most memory that one of its processes had, in KiB.
MEASURED = """
import json, resource, subprocess, sys, time
began = time.monotonic()
with open(sys.argv[1], "w") as said:
    code = subprocess.run(sys.argv[2:], stdout=said, stderr=said).returncode
took = time.monotonic() - began
print(json.dumps([code, took, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


def measured(command: list[str], folder: str) -> tuple[float, float]:
    """Seconds, and MB of the largest process. Raises SystemExit with what a failed one said."""
    one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
    log = f"{folder}/said"
    ran = subprocess.run(
        [sys.executable, "-c", MEASURED, log, *command], check=True, stdout=subprocess.PIPE,
        env={**os.environ, **one, "EDGEOPT_STORE": f"{folder}/store", "TMPDIR": folder},
    )  # fmt: skip
    code, seconds, memory = json.loads(ran.stdout)
    if code:
        raise SystemExit(f"{' '.join(command)} ended with {code}:\n{Path(log).read_text()}")
    return seconds, memory * 1024 / 1e6


def one_round(source: str, bare_first: bool) -> dict[str, tuple[float, float]]:
    """What either side took."""
    found = {}
    for side in ("bare", "edgeopt") if bare_first else ("edgeopt", "bare"):
        with tempfile.TemporaryDirectory() as folder:
            command = {
                "bare": [
                    sys.executable, str(HERE / "bare_files.py"), source, folder,
                    "--onnx2tf", str(environment("onnx2tf").interpreter),
                ],
                "edgeopt": [
                    str(Path(sys.executable).with_name("edgeopt")), "optimize",
                    str(HERE / "artifacts" / f"{source}.yaml"), "--no-bench", "--quiet",
                    "--yes", "--out", f"{folder}/out",
                ],
            }[side]  # fmt: skip
            found[side] = measured(command, folder)
    return found


def spread(values: list[float]) -> str:
    """Median, least and most."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sources", nargs="*", default=SOURCES, choices=[*SOURCES, []])
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    machine = facts()
    print(f"{machine['cpu']}, {machine['isa']}; medians of {asked.rounds} interleaved rounds, "
          "least and most")  # fmt: skip
    print("| source | bare, s | edgeopt, s | ratio | beyond 1.15 x bare, s | largest process, "
          "bare, MB | edgeopt, MB | ratio |\n|" + " --- |" * 8)  # fmt: skip
    for source in asked.sources:
        rounds = [one_round(source, number % 2 == 0) for number in range(asked.rounds)]
        bare, ours = ([r[side] for r in rounds] for side in ("bare", "edgeopt"))
        pairs = list(zip(bare, ours, strict=True))
        print(
            f"| {source} | {statistics.median(b[0] for b in bare):.1f} "
            f"| {statistics.median(o[0] for o in ours):.1f} "
            f"| {spread([o[0] / b[0] for b, o in pairs])} "
            f"| {spread([o[0] - ALLOWED_RATIO * b[0] for b, o in pairs])} "
            f"| {statistics.median(b[1] for b in bare):.0f} "
            f"| {statistics.median(o[1] for o in ours):.0f} "
            f"| {spread([o[1] / b[1] for b, o in pairs])} |",
            flush=True,
        )
    print(f"allowed: {ALLOWED_S} s beyond {ALLOWED_RATIO} x bare, {ALLOWED_MEMORY} x the memory")


if __name__ == "__main__":
    main()
