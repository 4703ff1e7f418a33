"""``edgeopt doctor``: what is installed, what could be, and what can be reached."""

from __future__ import annotations

from typing import Any

import click

from edgeopt.cli import lazy
from edgeopt.cli.commands import devices_option, json_option, print_json

TELLING = ("sse4_1", "avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimd", "asimddp",
           "i8mm", "sve")  # fmt: skip


@click.command("doctor")
@devices_option
@json_option("Print it as JSON.")
def command(as_json: bool) -> int:
    """Show libraries, extras, CPU features, targets and accelerators, disk and store.

    Exits 1 if no target can be reached or a library is missing.
    """
    diagnosis = lazy.api.doctor()
    if as_json:
        print_json(diagnosis)
    else:
        _show(diagnosis)
    broken = not any(t["reachable"] for t in diagnosis["targets"].values())
    return int(broken or not all(diagnosis["libraries"].values()))


def _show(diagnosis: dict[str, Any]) -> None:
    machine, store = diagnosis["machine"], diagnosis["store"]
    features = [name for name in TELLING if name in machine.get("features", ())]
    facts = [("edgeopt", f"{diagnosis['edgeopt']} on Python {diagnosis['python']}")]
    if machine:
        facts += [
            ("machine", f"{machine['cpu']}, {machine['cores']} cores, "
                        f"{lazy.measurement.figure(machine['memory_bytes'], 'bytes')}"),
            ("ISA", f"{machine['isa']} ({' '.join(features)})"),
            ("INT8", f"quantize-int8 tries {', '.join(machine['int8_schemes'])}"),
        ]  # fmt: skip
    facts.append(
        ("store", f"{store['root']}: {store['outcomes']} outcomes, "
                  f"{lazy.measurement.figure(store['size_bytes'], 'bytes')}, "
                  f"{lazy.measurement.figure(store['free_bytes'], 'bytes')} free")
    )  # fmt: skip
    devices = diagnosis["devices"]
    facts.append(("devices", ", ".join(devices["configured"]) or f"none in {devices['file']}"))
    lazy.layout.show_facts(facts)
    lazy.layout.show_line()
    rows = [
        (name, "yes" if t["reachable"] else "no", t["runtime_version"] or t["why_not"],
         "\n".join(f"{kind}: {device}" for kind, device in t["accelerators"].items()))
        for name, t in diagnosis["targets"].items()
    ]  # fmt: skip
    lazy.layout.show_table(["target", "reachable", "runtime, or the reason", "accelerators"], rows)
    lazy.layout.show_line()
    extras = [
        (name, "yes" if e["installed"] else "no", e["adds"],
         "" if e["installed"] else e["command"])
        for name, e in diagnosis["extras"].items()
    ]  # fmt: skip
    lazy.layout.show_table(["extra", "installed", "adds", "command"], extras)
    lazy.layout.show_line()
    lazy.layout.show_table(
        ["library", "version"], [(n, v or "missing") for n, v in diagnosis["libraries"].items()]
    )
    for problem in diagnosis["problems"]:
        lazy.layout.show_line(f"problem: {problem}", "yellow")
