"""``edgeopt devices``: making ready what measures."""

from __future__ import annotations

import click

from edgeopt.cli.commands import json_option, print_json


@click.group("devices")
def command() -> None:
    """Make devices ready."""


@command.command("setup")
@click.argument("kind", type=click.Choice(["emulated"]))
@click.option("--yes", is_flag=True, help="Install QEMU with apt where it is missing, as root.")
@json_option("Print what was done as JSON.")
def setup(kind: str, yes: bool, as_json: bool) -> int:
    """Make emulated ARM cores ready, or verify and repair them (Debian, Ubuntu; 330 MB)."""
    from edgeopt.devices.emulated.building import setup as make

    done = make(yes=yes, tell=lambda text: click.echo(text, err=True))
    if as_json:
        print_json(done)
        return 0
    click.echo(f"{done['state']}: {done['folder']}")
    click.echo(f"targets: {', '.join(f'emulated:{core}/RUNTIME' for core in done['cores'])}")
    return 0
