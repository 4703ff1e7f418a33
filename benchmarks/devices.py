"""Devices side by side, as Markdown tables: what they measure, and what measuring there costs.

    python benchmarks/devices.py [--part artifacts|overhead|ssh ...] [--json FILE]

artifacts  the shipped Fashion-MNIST network in every form, on this machine and on emulated cores:
           times here, instructions there, and where these go. Needs `edgeopt devices setup
           emulated`. About an hour; cached passes and scores are not done again.
           Results are written below --out; --redraw draws those that lie there.
overhead   one session through the local agent, against a bare loop over the same session.
ssh        seconds from an artifact to its first answer on a board behind ssh on loopback,
           beside the same on this machine. Needs sshd.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from device_costs import ROOT, STEPS, overhead, overhead_rows, road_rows, roads

import edgeopt
from edgeopt.pipeline.prepare import installed_version
from edgeopt.schema.measurement import Measurement, figure, span
from edgeopt.schema.quantities import parts_of
from edgeopt.schema.result import CandidateResult, Result
from edgeopt.transport.kinds import device_named

RECIPE = ROOT / "recipes" / "fashion-mnist.yaml"
SCHEMES = ("u8s8", "u8s8-safe", "s8s8", "static", "dynamic")  # each one's format takes it
PASSES = [
    {"one_of": ["export-onnx", "export-tflite"]},
    "simplify-onnx",
    {"one_of": ["none", *({"quantize-int8": {"scheme": s}} for s in SCHEMES), "fp16"]},
]
TARGETS = {
    "here": ["local/onnxruntime", "local/litert"],
    "emulated": [
        "emulated:haswell/onnxruntime",
        *(f"emulated:cortex-{c}/{r}" for c in ("a76", "a53") for r in ("onnxruntime", "litert")),
    ],
}
SPEEDS = ("latency.p50", "instructions")  # a device has the one or the other
PARTS = ("artifacts", "overhead", "ssh")


def tell(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def table(headers: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def header() -> str:
    """The machine and the versions that all figures depend on."""
    hello = device_named("local").hello()
    versions = {name: hello.runtimes.get(name) for name in ("onnxruntime", "litert")}
    versions |= {"edgeopt": installed_version("edgeopt"), "Python": hello.python}
    if qemu := shutil.which("qemu-aarch64"):
        said = subprocess.run([qemu, "--version"], capture_output=True, text=True).stdout
        versions["QEMU"] = (re.findall(r"version (\S+)", said) or ["?"])[0]
    told = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    load = "/".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{hello.machine.cpu} ({hello.machine.isa}), {hello.machine.cores} cores, "
        f"{platform.system()} {platform.release()}; {told}; load averages at the start {load}\n"
    )


# -- artifacts by targets


def optimized(out: Path, redraw: bool) -> list[Result]:
    """One result for this machine and one for the emulated cores, with all forms of the network.

    The shipped recipe, with every scheme by name and no constraint that loses a candidate.
    """
    if redraw:
        return [edgeopt.load(out / name) for name in TARGETS]
    return [
        edgeopt.optimize(
            RECIPE,
            out=out / name,
            targets=targets,
            passes=PASSES,
            constraints=["size <= 10 MB"],
            objective={"local": "latency.p50", "default": "instructions"},
            on_event=lambda event: tell(f"{event.what} {event.job or event.text}"),
        )
        for name, targets in TARGETS.items()
    ]


def measured(results: list[Result]) -> Iterator[tuple[str, str, CandidateResult]]:
    """(artifact, target, candidate), the targets of an artifact together.

    The chain without the export that all of its format begin with names the artifact.
    """
    rows: dict[str, list[tuple[str, CandidateResult]]] = {}
    for result in results:
        for decided in result.targets:
            for candidate in decided.candidates:
                first, *rest = (step.label for step in candidate.chain)
                name = f"{first.removeprefix('export-')}: {' > '.join(rest) or 'as exported'}"
                name = name.replace("scheme=", "")
                rows.setdefault(name, []).append((decided.target, candidate))
    for name in sorted(rows):
        for target, candidate in rows[name]:
            yield name, target, candidate


def cell(found: Measurement | None, digits: int = 3) -> str:
    """A figure, with its interval where that can be seen."""
    if found is None:
        return ""
    unit = "pt" if found.quantity.startswith("difference.") else found.unit
    text, between = (
        figure(found.value, unit, digits),
        span(*found.interval, unit, digits),
    )
    seen = between != span(found.value, found.value, unit, digits)
    return f"{text} ({between})" if seen else text


def parity(candidate: CandidateResult) -> str:
    """Where the accuracy was measured, in the measurement's own words."""
    found = candidate.measurements.get("accuracy")
    said = found.protocol.rpartition("; ")[2] if found and "measured on" in found.protocol else ""
    return re.sub(r"^measured on the host; | on emulated:\S+", "", said)


def artifact_tables(results: list[Result]) -> str:
    """What was measured of each artifact on each target, and where the instructions go."""
    figures, classes = [], []
    for name, target, candidate in measured(results):
        m = candidate.measurements
        if "size" not in m:
            figures.append([name, target, candidate.reason, *[""] * 4])
            continue
        ratios, speeds = (
            "".join(cell(m.get(prefix + speed), digits) for speed in SPEEDS)
            for prefix, digits in (("ratio.", 4), ("", 3))
        )
        accuracy = cell(m.get("difference.accuracy"))
        size = figure(m["size"].value, "bytes")
        figures.append([name, target, accuracy, parity(candidate), size, ratios, speeds])
        if "instructions" in m:
            total = m["instructions"].value
            shares = [f"{m[q].value / total:.0%}" for q in parts_of("instructions")]
            moved = [figure(m[q].value, "bytes") for q in parts_of("bytes")]
            classes.append([name, target, figure(total, "count"), *shares, *moved])
    notes = {note for result in results for note in result.notes if "answers otherwise" in note}
    headers = ["artifact", "target", "accuracy to source", "parity with this machine", "size",
               "p50 or instructions / reference", "p50 or instructions"]  # fmt: skip
    split = table(
        [
            "artifact",
            "target",
            "instructions",
            *parts_of("instructions").values(),
            *parts_of("bytes").values(),
        ],
        classes,
    )
    return "\n".join([table(headers, figures), split, *sorted(notes)])


def main() -> None:
    """Run the parts that were asked for, and print their tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--pairs", type=int, default=15, help="overhead: processes of each kind")
    parser.add_argument("--rounds", type=int, default=7, help="ssh: repeats")
    parser.add_argument("--out", type=Path, default=Path("edgeopt-out/devices"))
    parser.add_argument("--redraw", action="store_true", help="artifacts: measure nothing")
    parser.add_argument("--json", type=Path, help="write all raw figures there")
    asked = parser.parse_args()
    parts = asked.part or PARTS
    raw: dict[str, Any] = {"machine": header()}
    print(raw["machine"])
    if "artifacts" in parts:
        results = optimized(asked.out, asked.redraw)
        raw["artifacts"] = [result.to_json() for result in results]
        print(artifact_tables(results))
    if "overhead" in parts:
        raw["overhead"] = overhead(asked.pairs, tell)
        headers = ["model", "pair", "pairs", "first", "second", "difference",
                   "ratio of medians", "within 1%"]  # fmt: skip
        print(table(headers, overhead_rows(raw["overhead"])))
    if "ssh" in parts:
        raw["ssh"] = roads(asked.rounds, tell)
        print(table(["road", "repeats", "total", *STEPS], road_rows(raw["ssh"])))
    load = "/".join(f"{each:.1f}" for each in os.getloadavg())
    raw["load at the end"] = load
    print(f"Load averages at the end: {load}")
    if asked.json:
        asked.json.write_text(json.dumps(raw))


if __name__ == "__main__":
    main()
