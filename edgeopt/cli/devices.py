"""``edgeopt devices``: what is configured, what it says of itself, and whether it does its part."""

from __future__ import annotations

from typing import Any

import click

from edgeopt.cli import lazy
from edgeopt.cli.commands import devices_option, json_option, print_json


@click.group("devices")
def command() -> None:
    """List, probe, check or set up devices."""


@command.command("list")
@devices_option
@json_option("Print it as JSON.")
def list_(as_json: bool) -> int:
    """List the configured devices, without contacting them."""
    devices = lazy.api.devices()
    if as_json:
        print_json(devices)
        return 0
    rows = [
        (each["device"], ", ".join(f"{k}: {v}" for k, v in each["settings"].items()))
        for each in devices
    ]
    lazy.layout.show_table(["device", "settings"], rows)
    lazy.layout.show_line("edgeopt devices probe NAME shows what a device is.", "dim")
    return 0


@command.command("probe")
@click.argument("name")
@devices_option
@json_option("Print it as JSON.")
def probe(name: str, as_json: bool) -> int:
    """Show what the device NAME (e.g. ssh:jetson) reports about itself."""
    facts = lazy.api.probe(name)
    if as_json:
        print_json(facts)
    else:
        _show(facts)
    return 0


@command.command("check")
@click.argument("name")
@devices_option
@json_option("Print it as JSON.")
def check(name: str, as_json: bool) -> int:
    """Check that the device NAME does everything a device must. Exits 1 if it does not."""
    checks = lazy.api.check(name)
    if as_json:
        print_json(checks)
    else:
        words = {True: "ok", False: "failed", None: "-"}
        rows = [(words[c["ok"]], c["check"], c["told"], f"{c['seconds']:.1f} s") for c in checks]
        lazy.layout.show_table(["", "check", "what was found", "took"], rows, right="took")
    return int(any(c["ok"] is False for c in checks))


@command.command("setup")
@click.argument("kind", type=click.Choice(["emulated"]))
@click.option("--yes", is_flag=True, help="Install QEMU with apt, as root, if it is missing.")
@json_option("Print what was done as JSON.")
def setup(kind: str, yes: bool, as_json: bool) -> int:
    """Set up emulated ARM cores, or verify and repair them (Debian, Ubuntu; 330 MB)."""
    done = lazy.building.setup(yes=yes, tell=lambda text: click.echo(text, err=True))
    if as_json:
        print_json(done)
        return 0
    click.echo(f"{done['state']}: {done['folder']}")
    click.echo(f"targets: {', '.join(f'emulated:{core}/RUNTIME' for core in done['cores'])}")
    return 0


def _show(facts: dict[str, Any]) -> None:
    machine = facts["machine"]
    now = {
        "temperature": (machine["temperature_c"], "C"),
        "frequency": (machine["frequency_mhz"], "MHz"),
    }
    lazy.layout.show_line(facts["device"], "bold")
    lazy.layout.show_facts(
        [
            ("machine", f"{machine['cpu'] or 'unknown CPU'}, {machine['cores']} cores, "
                        f"{lazy.measurement.figure(machine['memory_bytes'], 'bytes')}"),
            ("ISA", f"{machine['isa']} ({' '.join(machine['features'])})"),
            ("system", f"{machine['system']} {machine['kernel']}"),
            ("governor", machine["governor"] or "not reported"),
            *((name, "not reported" if value is None else f"{value:.0f} {unit}")
              for name, (value, unit) in now.items()),
            ("Python", f"{facts['python']} ({facts['executable']})"),
        ]
    )  # fmt: skip
    lazy.layout.show_line()
    rows = [(name, version, "") for name, version in facts["runtimes"].items()]
    rows += [(name, "-", why) for name, why in facts["missing"].items()]
    lazy.layout.show_table(["runtime", "version", "why it is missing"], rows)
