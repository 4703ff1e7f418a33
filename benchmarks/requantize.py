"""Static INT8 files in TFLite made again of the shipped float ONNX files, without training.

    python benchmarks/requantize.py [--task imu] [--row source] [--seed 0] [--keep]

The trained torch weights of the smaller networks are not shipped. Their float ONNX files hold them
with each batch norm folded into its convolution: this builds the torch network of their shapes,
asks that it answers as the ONNX file does, exports it by `export-tflite` and quantizes it by
`quantize-int8` with the samples of the recipes. The source's weights are shipped and taken as they
are. A file whose operators, types, shapes or constants' sizes are others than those of the shipped
TFLite file is refused; names of tensors may differ.

Prints accuracy on validation and test of the shipped file and of the new one, writes the new one to
models/TASK/compressed and its figures beside it, on this kind of CPU and on the others that have
some: every kind answered alike so far. Times stay as they were measured. `--keep` writes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import torch
import torch_pruning_bare
from compression import BARE, LONGER, SEEDS, TASKS, Task, file_name, keep, kept
from devices import table, tell
from folded import rebuilt
from recompute import prepared
from tflite_ranges import Array, Context, answers, by_edgeopt, facts
from tflite_shipped import CALIBRATION, NAMES, fed

import edgeopt
from edgeopt.evaluation import figures
from edgeopt.formats import format_named
from edgeopt.formats.tflite import files
from edgeopt.passes.export_tflite_torch import ExportTflite
from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.schema.measurement import Measurement

FORM = "int8-tflite"
NEAR = 1e-5  # of the largest logit: sums of float32 in another order
SPLITS = ("validation", "test")
PASSES: list[Any] = ["export-tflite", {"quantize-int8": {"scheme": "static"}}]


class Row(NamedTuple):
    """A network of a seed."""

    task: Task
    name: str
    seed: int

    def file(self, form: str) -> Path:
        """Where it lies in a form."""
        return self.task.folder / file_name(self.name, self.seed, form)

    @property
    def yardstick(self) -> Path:
        """What `benchmarks/compression.py measure` compares it with."""
        name = self.task.yardsticks.get(self.name, LONGER)
        paths = [Row(self.task, name, seed).file("fp32") for seed in (self.seed, 0)]
        return next(path for path in paths if path.is_file())


def rows(task: Task, names: Sequence[str], seeds: Sequence[int]) -> Iterator[Row]:
    """Those that have a float ONNX file and a TFLite file that was quantized after training."""
    for name in names or task.rows:
        stages = task.rows[name]
        for seed in seeds or SEEDS:
            row = Row(task, name, seed)
            there = row.file("fp32").is_file() and row.file(FORM).is_file()
            if there and not any("qat" in stage for stage in stages):
                yield row


# -- files


def made(row: Row, network: Any, folder: Path) -> bytes:
    """The INT8 file of a float network, exported as the shipped one was."""
    if row.name == BARE:
        return by_pipeline(row, network, folder)
    inputs, name = prepared(row.task.name, "train")[0], NAMES[row.task.name]
    layout = "NCHW" if inputs.ndim == 4 else ""
    shape = ("batch", *inputs.shape[1:])
    taken = Tensor(name=name, dtype="float32", shape=shape, layout=layout)
    given = Tensor(name="output", dtype="float32", shape=("batch", network.head.out_features))
    described = Description(
        format="torch",
        signature=Signature(inputs=(taken,), outputs=(given,)),
        facts=frozenset({"float32"}),
    )
    context: Any = Context(described, {}, folder)
    format_named("tflite").save(ExportTflite().run(network, context), folder)
    content = (folder / "model.tflite").read_bytes()
    return by_edgeopt(content, name, fed(inputs[:CALIBRATION]), folder)


def by_pipeline(row: Row, network: Any, folder: Path) -> bytes:
    """The same of a live module, as `benchmarks/compression.py` makes Torch-Pruning's own."""
    train, validation = (prepared(row.task.name, split) for split in ("train", "validation"))
    calibration = tuple(each[:CALIBRATION] for each in train)
    result = edgeopt.optimize(
        network, out=folder, bench=False, passes=PASSES, targets=["local/litert"], seed=row.seed,
        data={"calibration": calibration, "validation": validation},
        constraints=["size <= 10 MB"],
    )  # fmt: skip
    paths = {c.path for t in result.targets for c in t.candidates if len(c.chain) == len(PASSES)}
    (path,) = paths - {None, ""}
    return (folder / str(path)).read_bytes()


def form(content: bytes) -> Any:
    """Operators in order with types and shapes of all they read and write; sizes of constants."""
    model, names = files.unpack(content, "the file"), files.schema().BuiltinOperator
    operators = {code: name for name, code in vars(names).items() if isinstance(code, int)}
    graph, found = model.subgraphs[0], []
    for op in graph.operators:
        code = model.operatorCodes[op.opcodeIndex]
        ends = [graph.tensors[i] for i in (*op.inputs, *op.outputs) if i >= 0]
        shapes = [(end.type, tuple(np.asarray(end.shape).tolist())) for end in ends]
        found.append((operators[max(code.builtinCode, code.deprecatedBuiltinCode)], shapes))
    return found, sorted(len(each.data) for each in model.buffers if each.data is not None)


def remade(row: Row) -> bytes:
    """The new file of a row. Raises ValueError where it is another network or of another form."""
    network: Any
    source = row.task.folder.parent
    if row.name == "source":
        network = torch_pruning_bare.source(source)
    else:
        network = rebuilt(source, row.file("fp32"), row.file(FORM))
    inputs = prepared(row.task.name, "validation")[0]
    want = by_onnx(row.file("fp32"), inputs)
    with torch.no_grad():
        got = np.concatenate(
            [network(part).numpy() for part in torch.from_numpy(inputs).split(500)]
        )
    apart = float(np.abs(want - got).max() / np.abs(want).max())
    if not apart <= NEAR:
        raise ValueError(f"{row.file('fp32')}: rebuilt, it answers {apart:.1e} apart")
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        content = made(row, network, Path(folder))
    if form(content) != form(row.file(FORM).read_bytes()):
        raise ValueError(f"{row.file(FORM)} would have another form")
    tell(f"  {apart:.1e} of the largest logit from the ONNX file, {len(content)} bytes")
    return content


# -- figures


def by_onnx(path: Path, inputs: Array) -> Array:
    """Logits of a float file in ONNX Runtime, (n, classes)."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (feed,) = session.get_inputs()
    parts = np.array_split(inputs, max(1, len(inputs) // 500))
    return np.concatenate([session.run(None, {feed.name: part})[0] for part in parts])


def scored(row: Row, content: bytes, split: str) -> dict[str, Measurement]:
    """Accuracy, and its difference to that of the yardstick."""
    inputs, labels = prepared(row.task.name, split)
    mine, other = answers(content, fed(inputs)), by_onnx(row.yardstick, inputs)
    return figures(["accuracy"], {"output": mine}, {"output": other}, labels)


def stated(row: Row, content: bytes, found: dict[str, Measurement]) -> None:
    """Write the figures of a new file wherever there were some of the old one."""
    size = Measurement(quantity="size", value=len(content), unit="bytes")
    told = {"accuracy": found["accuracy"], "size": size, "difference": found["difference.accuracy"]}
    new = {name: each.to_json() for name, each in told.items()}
    name, digest = row.file(FORM).name, hashlib.sha256(content).hexdigest()
    for place in sorted(row.task.folder.glob("figures.*.json")):
        if name in kept(place)["files"]:
            keep(place, name, new | {"sha256": digest, "scored_on": facts()["isa"]})


def told(name: str, before: list[Any], after: list[Any]) -> list[str]:
    """A row of the table: for each split mean differences of all seeds to the yardstick."""
    cells = [name]
    for split in SPLITS:
        for quantity in ("accuracy", "difference.accuracy"):
            means = [round(statistics.mean(100 * each[split][quantity].value for each in way), 2)
                     for way in (before, after)]  # fmt: skip
            sign, unit = ("", "%") if quantity == "accuracy" else ("+", "pt")
            cells.append(" -> ".join(f"{mean + 0.0:{sign}.2f}{unit}" for mean in means))
    return cells


def main() -> None:
    """Make, measure, print and, unless told otherwise, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--task", choices=tuple(TASKS), action="append")
    parser.add_argument("--row", action="append", default=[], help="only these networks")
    parser.add_argument("--seed", type=int, action="append", default=[])
    parser.add_argument("--keep", action="store_true", help="leave the shipped files as they are")
    asked = parser.parse_args()
    lines = []
    for task in asked.task or TASKS:
        seen: dict[str, tuple[list[Any], list[Any]]] = {}
        for row in rows(TASKS[task], asked.row, asked.seed):
            tell(row.file(FORM).name)
            contents = row.file(FORM).read_bytes(), remade(row)
            of_seeds = seen.setdefault(row.name, ([], []))
            for content, found in zip(contents, of_seeds, strict=True):
                found.append({split: scored(row, content, split) for split in SPLITS})
            if not asked.keep:
                row.file(FORM).write_bytes(contents[1])
                stated(row, contents[1], of_seeds[1][-1]["test"])
        lines += [[task, *told(name, *of_seeds)] for name, of_seeds in seen.items()]
    headers = ["task", "network"]
    headers += [f"{split}: {what}" for split in SPLITS for what in ("accuracy", "difference")]
    print(table(headers, lines))


if __name__ == "__main__":
    main()
