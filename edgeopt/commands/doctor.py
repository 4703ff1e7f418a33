"""What this installation can do: libraries, extras, CPU, targets, disk and store."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Any

from edgeopt.bench.accelerators import accelerators
from edgeopt.pipeline.prepare import installed_version
from edgeopt.planner.libraries import holds, listed_extras, requirements
from edgeopt.schema import plugged
from edgeopt.schema.errors import EdgeoptError, UsageError, did_you_mean
from edgeopt.schema.model_format import model_formats
from edgeopt.schema.quantities import faults
from edgeopt.schema.runtime import Runtime, runtimes
from edgeopt.schema.target import TargetFacts, parse_target
from edgeopt.schemes import schemes_for
from edgeopt.step import registry
from edgeopt.store import Store
from edgeopt.transport.configured import configured
from edgeopt.transport.file import devices_file
from edgeopt.transport.kinds import device_named

OTHER_EXTRAS = {  # that bring no runtime: what each adds
    "images": "data sources that are folders of images",
    "neural-compressor": "quantize-int8 with the engine neural-compressor",
    "nncf": "quantize-int8 of ONNX models with the engine nncf",
    "isa": "targets that stand for older CPUs, such as local/*?isa=avx2",
    "litert-torch": "export-tflite of PyTorch modules, and of Keras and ONNX models that were "
    "pruned or trained",
    "train": "the passes that prune, and distributed training",
}
LITTLE_BYTES = 2_000_000_000  # free disk below which a run may not fit


def diagnose(store: Store) -> dict[str, Any]:
    """Plain JSON types; ``problems`` holds sentences, empty where all is well.

    Raises DeviceError where not even this machine's own agent answers.
    """
    wrong = list(_wrong_plug_ins())
    targets = {runtime: _target(runtime) for runtime in _runtimes()}
    facts = next((reply for reply in targets.values() if isinstance(reply, TargetFacts)), None)
    reached = {
        runtime: _accelerators(runtime) if isinstance(reply, TargetFacts) else reply
        for runtime, reply in targets.items()
    }
    held = store.ls()
    report = {
        "edgeopt": installed_version("edgeopt"),
        "python": platform.python_version(),
        "machine": {} if facts is None else _machine(facts),
        "libraries": _libraries(),
        "extras": {name: _extra(name, adds) for name, adds in extras().items()},
        "targets": {
            f"local/{runtime}": {
                "reachable": isinstance(found, dict),
                "runtime_version": getattr(targets[runtime], "runtime_version", ""),
                "why_not": "" if isinstance(found, dict) else str(found),
                "accelerators": found if isinstance(found, dict) else {},
            }
            for runtime, found in reached.items()
        },
        "devices": _devices(),
        "store": {
            "root": held.root,
            "size_bytes": held.size_bytes,
            "outcomes": len(held.entries),
            "free_bytes": held.free_bytes,
        },
    }
    return {**report, "problems": [*wrong, *_problems(report)]}


def _wrong_plug_ins() -> Iterator[str]:
    """What is wrong with what formats, runtimes and passes declare: one stops every run."""
    for found in (model_formats, registry):
        try:
            found()
        except EdgeoptError as error:
            yield _sentence(str(error))
            return


def _sentence(text: str) -> str:
    return " ".join(text.split())


def _runtimes() -> dict[str, Runtime]:
    """All of them; none where one that is plugged in is declared wrongly."""
    try:
        return runtimes()
    except UsageError:
        return {}


def _target(runtime: str) -> TargetFacts | EdgeoptError:
    target = parse_target(f"local/{runtime}")
    try:
        return device_named("local").facts(target)
    except EdgeoptError as error:
        return error


def _accelerators(runtime: str) -> dict[str, str] | EdgeoptError:
    """Accelerator -> device, as the runtime tells, or why its code does not tell it."""
    try:
        return accelerators(device_named("local"), runtime)
    except EdgeoptError as error:
        return error


def _devices() -> dict[str, Any]:
    """The devices file and what it names; nothing there is asked anything."""
    try:
        names = [f"{kind}:{name}" for kind, entries in configured().items() for name in entries]
        return {"file": str(devices_file()), "configured": names, "error": ""}
    except UsageError as error:
        return {"file": str(devices_file()), "configured": [], "error": str(error)}


def _machine(facts: TargetFacts) -> dict[str, Any]:
    shown = ("cpu", "memory_bytes", "governor")
    return {
        "isa": facts.isa,
        "features": list(facts.features),
        "cores": facts.cores,
        "int8_schemes": list(schemes_for(facts)),
        **{name: facts.machine.get(name) for name in shown},
    }


def _libraries() -> dict[str, str]:
    """Version of each library that edgeopt itself needs; empty where it is missing."""
    needed = (r.name for r in requirements() if holds(r, ""))
    return {name: installed_version(name) for name in sorted(needed, key=str.lower)}


def extras() -> dict[str, str]:
    """What each extra adds: those that bring runtimes, as edgeopt lists them, then the others."""
    adding = {each.extra: each.adds for each in _runtimes().values() if each.extra}
    listed = [name for name in listed_extras() if name in adding]
    return {name: adding[name] for name in (listed or adding)} | OTHER_EXTRAS


def _extra(name: str, adds: str) -> dict[str, Any]:
    needed = [r for r in requirements() if holds(r, name) and not holds(r, "")]
    missing = [r.name for r in needed if not installed_version(r.name)]
    return {
        "installed": not missing,
        "missing": missing,
        "adds": adds,
        "command": f"pip install 'edgeopt[{name}]'",
    }


def _problems(report: dict[str, Any]) -> Iterator[str]:
    missing = [name for name, version in report["libraries"].items() if not version]
    if missing:
        yield f"libraries are missing: {', '.join(missing)}; run pip install edgeopt again"
    targets = report["targets"].values()
    if targets and not any(target["reachable"] for target in targets):
        yield "no target can be reached; install a runtime, such as onnxruntime"
    for point in plugged.strays():
        close = did_you_mean(point.group, plugged.GROUPS)
        yield f"{plugged.place(point)} is in a group that edgeopt does not know. {close}".strip()
    for fault in faults():
        yield f"a metric cannot be used: {fault}".replace("\n ", ";")
    for name, told in report["targets"].items():
        if told["runtime_version"] and not told["reachable"]:  # it is there, and breaks
            yield f"{name} cannot be used: {_sentence(told['why_not'])}"
    if report["devices"]["error"]:
        yield f"the devices file cannot be used: {report['devices']['error']}"
    free = report["store"]["free_bytes"]
    if free < LITTLE_BYTES:
        yield (
            f"only {free / 1e9:.1f} GB are free on the disk of the store "
            f"({report['store']['root']}); run 'edgeopt cache gc "
            "--max-size SIZE' or point EDGEOPT_STORE elsewhere"
        )
    governor = report["machine"].get("governor")
    if governor not in ("", "performance", None):
        yield (
            f"the CPU's frequency governor is '{governor}': times vary more than they need to; "
            "'performance' steadies them"
        )
