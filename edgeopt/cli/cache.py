"""``edgeopt cache``: what the store holds, and its upkeep."""

from __future__ import annotations

import re

import click

from edgeopt.cli import lazy
from edgeopt.cli.commands import json_option, print_json

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
SIZES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}


@click.group("cache")
def command() -> None:
    """List, shrink or verify the store of artifacts and outcomes."""


@command.command("ls")
@json_option("Print the list as JSON.")
def ls(as_json: bool) -> int:
    """List the outcomes that are kept, most recently used first."""
    with lazy.store.Store.default() as store:
        listing = store.ls()
    if as_json:
        print_json(listing.to_json())
        return 0
    rows = [(e.job, e.digest[:12], f"{e.seconds:.1f} s", _size(e.size_bytes))
            for e in listing.entries]  # fmt: skip
    if rows:
        lazy.layout.show_table(["job", "digest", "took", "size"], rows, right="took,size")
    lazy.layout.show_line(
        f"{listing.root}: {len(rows)} outcomes, {listing.blobs} blobs, "
        f"{_size(listing.size_bytes)}; {_size(listing.free_bytes)} free",
        "dim",
    )
    return 0


@command.command("gc")
@click.option("--max-age", metavar="TIME", help="Remove outcomes not used for this long: 30d, 12h.")
@click.option(
    "--max-size", metavar="SIZE", help="Keep the most recently used up to this size: 2 GB."
)
@json_option("Print what was done as JSON.")
def gc(max_age: str | None, max_size: str | None, as_json: bool) -> int:
    """Remove outcomes by age or size, and everything that no outcome needs."""
    age = None if max_age is None else _read(max_age, UNITS, "--max-age")
    size = None if max_size is None else int(_read(max_size, SIZES, "--max-size"))
    with lazy.store.Store.default() as store:
        done = store.gc(max_age_s=age, max_bytes=size)
    if as_json:
        print_json(done.to_json())
    else:
        lazy.layout.show_line(
            f"removed {done.outcomes} outcomes and {done.blobs} blobs: "
            f"{_size(done.freed_bytes)} freed, {_size(done.kept_bytes)} kept"
        )
    return 0


@command.command("verify")
@json_option("Print what was found as JSON.")
def verify(as_json: bool) -> int:
    """Read every blob again and remove the corrupt ones. Exits 1 if there were any."""
    with lazy.store.Store.default() as store:
        verified = store.verify()
    if as_json:
        print_json({**verified.to_json(), "ok": verified.ok})
    else:
        for digest in verified.corrupt:
            lazy.layout.show_line(f"corrupt blob, removed: {digest}")
        for key in verified.broken:
            lazy.layout.show_line(f"broken outcome, removed: {key}")
        state = (
            "all sound"
            if verified.ok
            else "what was broken was removed and will be rebuilt when needed"
        )
        lazy.layout.show_line(f"{verified.blobs} blobs, {verified.outcomes} outcomes: {state}")
    return 0 if verified.ok else 1


def _read(text: str, units: dict[str, float] | dict[str, int], option: str) -> float:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)", text.strip())
    if not match or match[2] not in units:
        known = ", ".join(units)
        raise click.BadParameter(f"cannot read '{text}'; units: {known}", param_hint=option)
    return float(match[1]) * units[match[2]]


def _size(count: int) -> str:
    return lazy.measurement.figure(count, "bytes")
