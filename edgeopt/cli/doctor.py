"""``edgeopt doctor``: what is installed, what could be, and what can be reached."""

from __future__ import annotations

from typing import Any

import click

from edgeopt.cli.commands import devices_option, json_option, print_json

TELLING = ("sse4_1", "avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimd", "asimddp",
           "i8mm", "sve")  # fmt: skip


@click.command("doctor")
@devices_option
@json_option("Print it as JSON.")
def command(as_json: bool) -> int:
    """Show libraries, extras, CPU features, targets and accelerators, disk and store.

    Exits 1 where no target can be reached or a library is missing.
    """
    from edgeopt.api import doctor

    found = doctor()
    if as_json:
        print_json(found)
    else:
        _show(found)
    broken = not any(t["reachable"] for t in found["targets"].values())
    return int(broken or not all(found["libraries"].values()))


def _show(found: dict[str, Any]) -> None:
    from edgeopt.report.layout import show_facts, show_line, show_table
    from edgeopt.schema.measurement import figure

    machine, store = found["machine"], found["store"]
    features = [name for name in TELLING if name in machine.get("features", ())]
    facts = [("edgeopt", f"{found['edgeopt']} on Python {found['python']}")]
    if machine:
        facts += [
            ("machine", f"{machine['cpu']}, {machine['cores']} cores, "
                        f"{figure(machine['memory_bytes'], 'bytes')}"),
            ("ISA", f"{machine['isa']} ({' '.join(features)})"),
            ("INT8", f"quantize-int8 tries {', '.join(machine['int8_schemes'])}"),
        ]  # fmt: skip
    facts.append(
        ("store", f"{store['root']}: {store['outcomes']} outcomes, "
                  f"{figure(store['size_bytes'], 'bytes')}, "
                  f"{figure(store['free_bytes'], 'bytes')} free")
    )  # fmt: skip
    devices = found["devices"]
    facts.append(("devices", ", ".join(devices["configured"]) or f"none in {devices['file']}"))
    show_facts(facts)
    show_line()
    rows = [
        (name, "yes" if t["reachable"] else "no", t["runtime_version"] or t["why_not"],
         "\n".join(f"{kind}: {device}" for kind, device in t["accelerators"].items()))
        for name, t in found["targets"].items()
    ]  # fmt: skip
    show_table(["target", "reachable", "runtime, or why not", "accelerators"], rows)
    show_line()
    extras = [
        (name, "yes" if e["installed"] else "no", e["adds"],
         "" if e["installed"] else e["command"])
        for name, e in found["extras"].items()
    ]  # fmt: skip
    show_table(["extra", "installed", "adds", "command"], extras)
    show_line()
    show_table(["library", "version"], [(n, v or "missing") for n, v in found["libraries"].items()])
    for problem in found["problems"]:
        show_line(f"problem: {problem}", "yellow")
