"""Race a session that is made for the batch and the sizes it runs with against one that is not.

    python benchmarks/fixed_batch.py [MODEL.onnx] [--target local/openvino] [--protocol full|short]

Both sides are the same file, with a free batch. They take turns in one process, in several fresh
processes, as any two artifacts do. Prints time and load time of the fixed session over the free.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
from pathlib import Path

import numpy as np

from edgeopt.bench.race import SCHEDULES, race
from edgeopt.bench.task import Side, Task
from edgeopt.formats import format_named
from edgeopt.schema.job import Arrays
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.target import parse_target
from edgeopt.store import Store
from edgeopt.transport.kinds import device_named

MODEL = Path(__file__).parents[1] / "models" / "fashion_mnist" / "source.onnx"
TARGETS = ("local/openvino", "local/onnxruntime")
SAMPLES = 64


class Free(Side):
    """A side whose session is left to take any sizes."""

    @property
    def fixes(self) -> bool:
        """Never."""
        return False


def task(store: Store, model: Path, target: str, folder: Path) -> Task:
    """The same file on both sides, on random samples: a for their sizes, b for any."""
    kind = format_named(model.suffix.lstrip("."))
    kind.gather({"path": model.name}, model.parent, folder, {})
    artifact, signature = (
        store.put_artifact(folder, model.suffix.lstrip(".")),
        kind.describe(folder).signature,
    )
    random = np.random.default_rng(0)
    arrays = {
        tensor.name: store.put_array(
            random.standard_normal(
                (SAMPLES, *(n if isinstance(n, int) else 32 for n in tensor.shape[1:]))
            ).astype(tensor.dtype)
        )
        for tensor in signature.inputs
    }
    samples, place = Arrays(split="random", n=SAMPLES, arrays=arrays), parse_target(target)
    return Task({"a": Side(place, artifact, samples), "b": Free(place, artifact, samples)})


def main() -> None:
    """Run the races and print what came of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", nargs="?", type=Path, default=MODEL)
    parser.add_argument("--target", action="append")
    parser.add_argument("--protocol", choices=tuple(SCHEDULES), default="full")
    asked = parser.parse_args()
    print("| target | p50, fixed / free | load time, fixed / free | processes |")
    print("| --- | --- | --- | --- |")
    for target in asked.target or TARGETS:
        with tempfile.TemporaryDirectory() as folder, Store(folder) as store:
            work, artifact = Path(folder) / "work", Path(folder) / "artifact"
            work.mkdir()
            artifact.mkdir()
            sides = task(store, asked.model, target, artifact)
            device = device_named(parse_target(target).device)
            with device.lease(work, exclusive=True, cancelled=threading.Event()) as lease:
                schedule = SCHEDULES[asked.protocol]
                _, value = race(sides, lease, store, schedule, lambda *_, **__: None)
        ratio = Measurement.model_validate(value["ratio"]["latency.p50"])
        low, high = ratio.interval
        loads = [value[side]["load_time"]["value"] for side in "ab"]
        print(
            f"| {target} | {ratio.value:.2f}x ({low:.2f} to {high:.2f}x) | "
            f"{loads[0] / loads[1]:.2f}x | {value['processes']} |",
            flush=True,
        )
    print(f"\n{ratio.machine}; {ratio.protocol}")


if __name__ == "__main__":
    main()
