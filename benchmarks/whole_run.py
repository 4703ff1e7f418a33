"""Time whole runs of two builds of edgeopt, in turn, each from an empty store.

    python benchmarks/whole_run.py OLD/bin/edgeopt NEW/bin/edgeopt RECIPE [RECIPE_OF_NEW] [--runs 5]

Prints the wall time of each run, the peak of the memory of all its processes together
(proportional set size, read ten times a second), the chosen artifact and its ratio; and the
ratios of the second build over the first with their intervals. Leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeopt.engine.executors.memory import held_together
from edgeopt.stats.ratios import Interval, geometric_interval

EVERY_S = 0.1


@dataclass(frozen=True)
class Ran:
    """One run: seconds, the most memory in bytes, and by target what was chosen."""

    seconds: float
    peak: int
    chosen: str


def main() -> None:
    """Read the builds, run them in turn, print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("builds", nargs=2, type=Path)
    parser.add_argument("recipes", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    sides = list(zip(asked.builds, (asked.recipes[0], asked.recipes[-1]), strict=True))
    ran: tuple[list[Ran], list[Ran]] = ([], [])
    print("| run | build | seconds | peak, MB | chosen |\n| --- | --- | --- | --- | --- |")
    for turn in range(asked.runs):
        order = (0, 1) if turn % 2 == 0 else (1, 0)
        for side in order:
            found = run(*sides[side])
            ran[side].append(found)
            name = "second" if side else "first"
            print(f"| {turn + 1} | {name} | {found.seconds:.1f} | {found.peak / 1e6:.0f} "
                  f"| {found.chosen} |", flush=True)  # fmt: skip
    pairs = list(zip(*ran, strict=True))
    print(f"wall time, second over first: {spelled([b.seconds / a.seconds for a, b in pairs])}")
    print(f"peak memory, second over first: {spelled([b.peak / a.peak for a, b in pairs])}")


def run(command: Path, recipe: Path) -> Ran:
    """One run from an empty store. Raises CalledProcessError where it has no result."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "EDGEOPT_STORE": f"{folder}/store", "TMPDIR": folder}
        words = [str(command), "optimize", str(recipe), "--quiet", "--out", f"{folder}/out"]
        began = time.monotonic()
        process = subprocess.Popen(
            words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        watch = Watch(process.pid)
        _, said = process.communicate()
        seconds = time.monotonic() - began
        file = Path(folder, "out", "result.json")
        if not file.exists():
            raise subprocess.CalledProcessError(process.returncode, words, stderr=said)
        return Ran(seconds, watch.stop(), chosen(json.loads(file.read_text())))


class Watch:
    """The most memory that a process and all below it held together."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._over = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """Bytes."""
        self._over.set()
        self._thread.join()
        return self._peak

    def _look(self) -> None:
        while not self._over.wait(EVERY_S):
            self._peak = max(self._peak, held_together(self._pid))


def chosen(result: dict[str, Any]) -> str:
    """Of each target, what was chosen, with its ratio to the reference."""
    told = []
    for target in result["targets"]:
        for candidate in target["candidates"]:
            if candidate["id"] == target["chosen"]:
                ratio = candidate["measurements"].get("ratio.latency.p50")
                shown = f", {ratio['value']:.2f}x" if ratio else ""
                told.append(f"{candidate['target']} {candidate['label']}{shown}")
    return "; ".join(told) or "nothing"


def spelled(ratios: list[float]) -> str:
    """A geometric mean with its interval."""
    found: Interval = geometric_interval(ratios)
    if found.low is None or found.high is None:
        return f"{found.value:.3f} (n = {found.n})"
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f}, n = {found.n})"


if __name__ == "__main__":
    main()
