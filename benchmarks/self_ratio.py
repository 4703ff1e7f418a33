"""Race a file against a copy of itself, again and again: the ratio should be 1.

    python benchmarks/self_ratio.py [MODEL.onnx] [--races 40] [--protocol full|short]

Prints each race, the share of ratios within 1%, the share of intervals that hold 1, and how
long a race took. ``--keep FILE`` writes the raw nanoseconds of all races as JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.bench.jobs import run_bench
from edgeopt.formats import format_named
from edgeopt.schema.job import Arrays, Job, Outcome, Request
from edgeopt.store import Store

MODEL = Path(__file__).parents[1] / "models" / "fashion_mnist" / "source.onnx"
SAMPLES = 64
WITHIN = 0.01


def request(store: Store, model: Path, protocol: str, target: str, workdir: Path) -> Request:
    """A race of a file against a byte-identical one, on random samples."""
    folder = workdir / "model"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.read_bytes())
    artifact = store.put_artifact(folder, "onnx")
    random = np.random.default_rng(0)
    signature = format_named("onnx").describe(folder).signature
    arrays = {
        tensor.name: store.put_array(
            random.standard_normal(
                (SAMPLES, *(n if isinstance(n, int) else 1 for n in tensor.shape[1:]))
            ).astype(tensor.dtype)
        )
        for tensor in signature.inputs
    }
    samples = Arrays(split="random", n=SAMPLES, arrays=arrays)
    fed = Outcome(job="samples", status="ok", value=samples.to_json())
    side = Outcome(job="model", status="ok", value={"artifact": artifact.to_json()})
    return Request(
        job=Job(
            id="self",
            kind="race",
            name=protocol,
            params={"targets": {"a": target, "b": target}, "protocol": protocol},
        ),
        inputs={"a": side, "b": side, "samples:a": fed, "samples:b": fed},
        store=str(store.root),
        workdir=str(workdir),
    )


def main() -> None:
    """Run the races and print what came of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", nargs="?", type=Path, default=MODEL)
    parser.add_argument("--races", type=int, default=40)
    parser.add_argument("--protocol", choices=("full", "short"), default="full")
    parser.add_argument("--target", default="local/onnxruntime")
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    found: list[dict[str, Any]] = []
    raw: list[Any] = []
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as folder, Store(folder) as store, store.workdir() as work:
        job = request(store, asked.model, asked.protocol, asked.target, work)
        for number in range(asked.races):
            began = time.monotonic()
            _, value = run_bench(job, lambda *_, **__: None, threading.Event())
            seconds.append(time.monotonic() - began)
            ratio = value["ratio"]["latency.p50"]
            found.append(ratio)
            raw.append(json.loads(store.get_bytes(value["samples"])))
            print(
                f"{number + 1:3d}  {ratio['value']:.4f}  [{ratio['low']:.4f}, {ratio['high']:.4f}]"
                f"  p50 {value['a']['latency.p50']['value']:.3f} ms"
                f"  {value['processes']} processes  {seconds[-1]:.1f} s",
                flush=True,
            )
    if asked.keep:
        asked.keep.write_text(json.dumps(raw))
    logs = [math.log(ratio["value"]) for ratio in found]
    near = sum(abs(x) <= math.log(1 + WITHIN) for x in logs)
    held = sum(ratio["low"] <= 1 <= ratio["high"] for ratio in found)
    print(f"machine: {found[0]['machine']}; {found[0]['protocol']}")
    print(f"within {WITHIN:.0%}: {near} of {len(found)}")
    print(f"intervals that hold 1: {held} of {len(found)}")
    print(f"spread (standard deviation of the log-ratio): {statistics.pstdev(logs):.2%}")
    print(f"seconds a race: {statistics.median(seconds):.1f}")


if __name__ == "__main__":
    main()
