"""Smaller networks side by side, as Markdown tables: accuracy on the test split, speed and size.

    python benchmarks/compression.py make [--task imu] [--seed 0 ...]
    python benchmarks/compression.py measure [--task imu]
    python benchmarks/compression.py count [--task imu]      # instructions on emulated Arm cores
    python benchmarks/compression.py table

make     trains every network of every seed by recipes of the product and writes its files, in
         float32 and INT8, to models/TASK/compressed. About an hour a seed on one idle core; seeds
         can be made side by side. What was trained before comes from the store.
measure  each file against the source trained on for as long: accuracy of both on the test split,
         paired, and their race. Seed 0 is raced in full, the others in short.
count    the files of seed 0 on emulated cores. Needs `edgeopt devices setup emulated`.
table    draws what was measured; figures lie beside the files, in figures.ISA.json: those of CPUs
         with other instructions are tables of their own.

`python benchmarks/recompute.py` scores all files again, with the runtimes alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch_pruning_bare
from devices import cell, header, table, tell
from recompute import prepared

import edgeopt
import edgeopt.passes
from edgeopt.schema.comparison import ComparedPair
from edgeopt.schema.measurement import Measurement, figure
from edgeopt.transport.kinds import device_named

ROOT = Path(__file__).resolve().parents[1]
TARGETS = ["local/onnxruntime", "local/litert"]
CORES = ("cortex-a76", "cortex-a53")
FORMS = {"fp32": "onnx", "int8-onnx": "onnx", "int8-tflite": "tflite"}
RUNTIMES = {"onnx": "onnxruntime", "tflite": "litert"}  # that run a form
EXPORTS: list[Any] = [
    {"one_of": ["export-onnx", "export-tflite"]},
    {"one_of": ["none", {"quantize-int8": {"scheme": "auto"}}]},
]
LONGER, BARE = "source, trained on", "Torch-Pruning bare + distilled"
LONGEST = "source, trained on for 46 epochs"
SEEDS = (0, 1, 2)


class Task(NamedTuple):
    """A trained network, how its recipe shortens it and which training all rows share."""

    name: str
    recipe: Path
    prune: dict[str, Any]
    training: dict[str, Any]
    scratch: dict[str, Any]  # what the untrained narrow network has instead
    qat: dict[str, Any]
    source_qat: dict[str, Any]
    others: dict[str, list[dict[str, Any]]] = {}  # the stages of further rows
    yardsticks: dict[str, str] = {}  # the source trained as long as a further row was

    @property
    def folder(self) -> Path:
        """Where its files are shipped."""
        return ROOT / "models" / self.name / "compressed"

    @property
    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """The stages of every network by the name of its row."""
        prune, distill = {"prune-structured": self.prune}, {"distill": self.training}
        return {
            "source": [],
            LONGER: [distill],
            "qat": [{"qat": self.source_qat}],
            "pruned + distilled": [prune, distill],
            "pruned + distilled + qat": [prune, distill, {"qat": self.qat}],
            "from scratch + distilled": [{"distill": self.training | self.scratch}],
            BARE: [{"distill": self.training}],
            **self.others,
        }


def told(event: Any) -> None:
    """What a run says, without its hundreds of steps."""
    if event.what not in {"progress", "job-started"}:
        tell(f"  {event.what} {event.job or event.text}")


AUGMENTED = {"precision": "auto", "shift": 2, "mirror": True, "erase": 6}
TRAINING: dict[str, Any] = {"epochs": 20, "lr": 0.05, **AUGMENTED}
QAT: dict[str, Any] = {"scheme": "auto", "epochs": 3}
FIFTH = [{"prune-structured": {"macs": 0.2, "importance": "l2"}}, {"distill": TRAINING}]
NINTH = [  # 8 and 8 channels in the first stage, 24 and 24 in the second, 56 and 48 in the third
    {"prune-structured": {
        "ratio": {"stem.0": 0.75, "stages.0.conv1": 0.75,
                  "stages.1.conv1": 0.625, "stages.1.conv2": 0.625,
                  "stages.2.conv1": 0.5625, "stages.2.conv2": 0.625},
        "importance": "l2"}},
    {"distill": {"epochs": 40, "lr": 0.1, **AUGMENTED}},
]  # fmt: skip
TASKS = {
    "fashion_mnist": Task(
        "fashion_mnist",
        ROOT / "recipes" / "fashion-mnist-small.yaml",
        prune={"macs": 0.25, "importance": "l2"},
        training=TRAINING,
        scratch={"student": "../models/fashion_mnist/net.py:resnet_16", "lr": 0.2},
        qat=QAT,
        source_qat={"scheme": "auto", "epochs": 1},
        others={
            "pruned to 20% + distilled": FIFTH,
            "pruned to 20% + distilled + qat": [*FIFTH, {"qat": QAT}],
            LONGEST: [{"distill": TRAINING | {"epochs": 46}}],
            "pruned to 11% + distilled": NINTH,
            "pruned to 11% + distilled + qat": [*NINTH, {"qat": QAT | {"epochs": 6}}],
        },
        yardsticks={
            "pruned to 11% + distilled": LONGEST,
            "pruned to 11% + distilled + qat": LONGEST,
        },
    ),
    "imu": Task(
        "imu",
        ROOT / "recipes" / "prune.yaml",
        prune={"macs": 0.25},
        training={"epochs": 12, "lr": 0.05},
        scratch={"student": "../models/imu/net.py:resnet_16", "lr": 0.1},
        qat=QAT,
        source_qat=QAT,
    ),
}  # fmt: skip


# -- files


def file_name(row: str, seed: int, form: str) -> str:
    """Where a network of a seed lies in one form."""
    plain = row.replace(",", "").replace("%", "").replace(" + ", "+").replace(" ", "-").lower()
    return f"{plain}.{form}.seed{seed}.{FORMS[form]}"


def form_of(labels: list[str], qat: bool) -> str | None:
    """What an exported chain is called; None for what is not shipped (float32 in TFLite)."""
    fmt = "onnx" if "export-onnx" in labels else "tflite"
    quantized = qat or any(label.startswith("quantize-int8") for label in labels)
    return f"int8-{fmt}" if quantized else "fp32" if fmt == "onnx" else None


def made_by_recipe(task: Task, row: str, seed: int) -> None:
    """Train a row's network and write its files."""
    stages = task.rows[row]
    qat = any("qat" in stage for stage in stages)
    out = ROOT / "edgeopt-out" / "compression" / file_name(row, seed, "fp32").partition(".")[0]
    passes = [*stages, *(EXPORTS[:1] if qat else EXPORTS)]
    result = edgeopt.optimize(
        task.recipe, out=out, bench=False, passes=passes, targets=TARGETS, seed=seed,
        constraints=["size <= 10 MB"], on_event=told,
    )  # fmt: skip
    written = taken(result, len(stages), qat)
    for form, path in written.items():
        shutil.copyfile(out / path, task.folder / file_name(row, seed, form))


def taken(result: edgeopt.Result, stages: int, qat: bool) -> dict[str, str]:
    """Form to path of the chains that went through all stages, the first of each form."""
    found: dict[str, str] = {}
    for decided in result.targets:
        for candidate in decided.candidates:
            labels = [step.label for step in candidate.chain]
            exported = next(i for i, label in enumerate(labels) if label.startswith("export"))
            form = form_of(labels, qat)
            if exported == stages and form is not None and candidate.path:
                found.setdefault(form, candidate.path)
    return found


def made_bare(task: Task, row: str, seed: int) -> None:
    """The same for Torch-Pruning's own network: by hand, then exported by the product."""
    folder = task.folder.parent
    splits = {split: prepared(task.name, split) for split in ("train", "validation")}
    images, labels = splits["train"]
    splits["calibration"] = images[:512], labels[:512]
    bare = torch_pruning_bare.pruned(folder, torch.from_numpy(splits["train"][0][:1]))
    trained = edgeopt.passes.Distill(**task.training)(
        bare, splits, teacher=torch_pruning_bare.source(folder), seed=seed
    )
    out = ROOT / "edgeopt-out" / "compression" / f"bare-{seed}"
    result = edgeopt.optimize(
        trained, out=out, bench=False, passes=EXPORTS, targets=TARGETS, seed=seed,
        data={"calibration": splits["calibration"], "validation": splits["validation"]},
        constraints=["size <= 10 MB"], on_event=told,
    )  # fmt: skip
    for form, path in taken(result, 0, qat=False).items():
        shutil.copyfile(out / path, task.folder / file_name(row, seed, form))


def make(task: Task, seeds: Sequence[int], rows: Sequence[str]) -> None:
    """The files of all rows that are not there yet."""
    task.folder.mkdir(exist_ok=True)
    for seed in seeds:
        for row in rows or task.rows:
            if (row == "source" and seed) or list(forms_there(task, row, seed)):
                continue
            tell(f"{task.name}, seed {seed}: {row}")
            (made_bare if row == BARE else made_by_recipe)(task, row, seed)


def forms_there(task: Task, row: str, seed: int) -> Iterator[tuple[str, Path]]:
    """Form and file of a network of a seed, as far as they were made."""
    for form in FORMS:
        path = task.folder / file_name(row, seed, form)
        if path.is_file():
            yield form, path


# -- figures


def kept(place: Path) -> dict[str, Any]:
    """What was measured, by file."""
    found: dict[str, Any] = json.loads(place.read_text()) if place.is_file() else {"files": {}}
    return found


def keep(place: Path, name: str, found: dict[str, Any]) -> None:
    """Add what was found of a file."""
    figures = kept(place)
    figures["files"][name] = figures["files"].get(name, {}) | found
    place.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")


def figures_here(task: Task) -> Path:
    """Where figures of this machine's kind are kept: INT8 differs with the CPU's instructions."""
    return task.folder / f"figures.{device_named('local').hello().machine.isa}.json"


def measure(task: Task, seeds: Sequence[int], rows: Sequence[str], quick: bool) -> None:
    """Each file against the source trained as long: of its own seed, or of seed 0."""
    machine, place = header().partition("; load")[0] + "\n", figures_here(task)
    for seed in seeds:
        for row in rows or task.rows:
            yardstick = task.yardsticks.get(row, LONGER)
            baseline = task.folder / file_name(yardstick, seed, "fp32")
            if not baseline.is_file():
                baseline = task.folder / file_name(yardstick, 0, "fp32")
            for _form, path in forms_there(task, row, seed):
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                if kept(place)["files"].get(path.name, {}).get("sha256") == digest:
                    continue
                tell(f"{task.name}: {path.name}")
                where = "local/onnxruntime" if path.suffix == ".onnx" else "local/*"
                compared = edgeopt.compare(
                    baseline, path, targets=[where], recipe=task.recipe, split="test",
                    quick=quick or seed > 0,
                )  # fmt: skip
                macs = edgeopt.inspect(path).macs
                beside = {"sha256": digest, "macs": macs, "machine": machine}
                keep(place, path.name, beside | facts(compared.pairs))


def facts(pairs: Sequence[ComparedPair]) -> dict[str, Any]:
    """What the table draws of a comparison on one or more runtimes."""
    first = pairs[0]
    told = {"accuracy": first.b.measurements["accuracy"], "size": first.b.measurements["size"],
            "difference": first.against["difference.accuracy"]}  # fmt: skip
    for pair in pairs:
        runtime = pair.b.target.rpartition("/")[2]
        told[f"ratio.{runtime}"] = pair.against["ratio.latency.p50"]
    return {name: made.to_json() for name, made in told.items()}


def count(task: Task, asked: Sequence[str]) -> None:
    """Instructions of the files of seed 0 on each core, over those of the source in float32."""
    same = (LONGER, LONGEST)  # they have the source's shapes
    rows = asked or [row for row in task.rows if row not in same]
    files = [path for row in rows for _form, path in forms_there(task, row, 0)]
    for core in CORES:
        tell(f"{task.name}: {core}")
        counted = edgeopt.benchmark(*files, targets=[f"emulated:{core}/*"], on_event=told)
        for row in counted["targets"][0]["files"]:
            runtime = row["target"].rpartition("/")[2]
            found = {f"ratio.{core}.{runtime}": row["measurements"]["ratio.instructions"]}
            keep(figures_here(task), Path(row["path"]).name, found)


# -- table


def drawn(task: Task) -> str:
    """A table for each kind of CPU."""
    return "\n".join(table_of(task, place) for place in sorted(task.folder.glob("figures.*.json")))


def table_of(task: Task, place: Path) -> str:
    """A row for each network and form; the other seeds beside seed 0."""
    files = kept(place)["files"]
    lines = []
    for row in task.rows:
        for form, path in forms_there(task, row, 0):
            if path.name not in files:
                continue
            mine = files[path.name]
            of_seeds = [
                files[name] for seed in SEEDS if (name := file_name(row, seed, form)) in files
            ]
            runtime = RUNTIMES[FORMS[form]]
            speeds = [runtime, *(f"{core}.{runtime}" for core in CORES)]
            ratios = [cell(measurement(mine, f"ratio.{speed}")) for speed in speeds]
            macs = figure(mine["macs"], "count") if mine["macs"] else ""
            lines.append(
                [row, form, cell(measurement(mine, "accuracy"), 4),
                 cell(measurement(mine, "difference")), spread(of_seeds), macs,
                 figure(mine["size"]["value"], "bytes"), *ratios]
            )  # fmt: skip
    headers = ["network", "form", "test accuracy", "to the source trained on",
               "of all seeds: mean (each)", "MACs", "size"]  # fmt: skip
    ratios = ["p50", *(f"instructions, {core}" for core in CORES)]
    machines = sorted({each["machine"] for each in files.values() if each.get("machine")})
    return "\n".join([*machines, table(headers + ratios, lines)])


def measurement(figures: dict[str, Any], name: str) -> Measurement | None:
    """A figure that was kept, if it was taken."""
    return Measurement.model_validate(figures[name]) if name in figures else None


def spread(of_seeds: Sequence[dict[str, Any]]) -> str:
    """The differences of all seeds, in points."""
    points = [100 * each["difference"]["value"] for each in of_seeds]
    if len(points) < 2:
        return ""
    each = ", ".join(f"{point:+.2f}" for point in points)
    return f"{statistics.mean(points):+.2f}pt ({each})"


def main() -> None:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("make", "measure", "count", "table"))
    parser.add_argument("--task", choices=tuple(TASKS), action="append")
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--row", action="append", help="only these networks")
    parser.add_argument("--quick", action="store_true", help="measure: all races in short")
    asked = parser.parse_args()
    seeds = asked.seed or SEEDS
    for name in asked.task or TASKS:
        task = TASKS[name]
        if asked.what == "make":
            make(task, seeds, asked.row)
        elif asked.what == "measure":
            measure(task, seeds, asked.row or [], asked.quick)
        elif asked.what == "count":
            count(task, asked.row or [])
        else:
            print(drawn(task))


if __name__ == "__main__":
    main()
