"""What the length of a race's processes brings: two files raced under several schedules, in turn.

    python benchmarks/race_length.py MODEL.onnx [REFERENCE.onnx] [--minutes 6]

Each schedule is the full race, with so many turns a side and milliseconds a turn. Prints, for
each, the spread of the ratio over its races, the median half-width of its intervals, and how many
processes and seconds a race took. Leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from self_ratio import MODEL, request

from edgeopt.bench.jobs import run_bench
from edgeopt.bench.race import SCHEDULES
from edgeopt.schema.job import Outcome
from edgeopt.store import Store

FULL = SCHEDULES["full"]
SHORT = SCHEDULES["short"]
TRIED = {
    "24 turns of 25 ms": FULL,
    "12 turns of 25 ms": replace(FULL, turns=12),
    "12 turns of 20 ms": replace(
        FULL, turns=SHORT.turns, turn_ms=SHORT.turn_ms, warm_ms=SHORT.warm_ms
    ),
}


class Raced(NamedTuple):
    """One race: its ratio, the half-width in logarithms, processes and seconds."""

    ratio: float
    half: float
    processes: int
    seconds: float


def main() -> None:
    """Race in turn until the time is over; print a row a schedule."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("reference", nargs="?", type=Path, default=MODEL)
    parser.add_argument("--minutes", type=float, default=6.0)
    asked = parser.parse_args()
    found: dict[str, list[Raced]] = {name: [] for name in TRIED}
    with tempfile.TemporaryDirectory() as folder, Store(folder) as store, store.workdir() as work:
        job = request(store, asked.reference, "full", "local/onnxruntime", work)
        place = work / "other"
        place.mkdir()
        (place / "model.onnx").write_bytes(asked.model.read_bytes())
        made = {"artifact": store.put_artifact(place, "onnx").to_json()}
        inputs = {**job.inputs, "a": Outcome(job="other", status="ok", value=made)}
        job = job.model_copy(update={"inputs": inputs})
        end = time.monotonic() + 60 * asked.minutes
        while time.monotonic() < end:
            for name, schedule in TRIED.items():
                began = time.monotonic()
                with patch.dict(SCHEDULES, full=schedule):
                    _, value = run_bench(job, lambda *_, **__: None, threading.Event())
                ratio = value["ratio"]["latency.p50"]
                half = math.log(ratio["high"] / ratio["value"])
                seconds = time.monotonic() - began
                found[name].append(Raced(ratio["value"], half, value["processes"], seconds))
    print("| schedule | races | spread of the log-ratio | half-width | processes | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, races in found.items():
        spread = statistics.stdev(math.log(race.ratio) for race in races)
        print(
            f"| {name} | {len(races)} | {spread:.2%} "
            f"| {statistics.median(race.half for race in races):.2%} "
            f"| {statistics.mean(race.processes for race in races):.1f} "
            f"| {statistics.mean(race.seconds for race in races):.1f} |"
        )


if __name__ == "__main__":
    main()
