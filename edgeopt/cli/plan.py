"""``edgeopt plan``: what ``optimize`` would do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeopt.cli import lazy
from edgeopt.cli.commands import devices_option, json_option, print_json
from edgeopt.cli.model_options import model_options

if TYPE_CHECKING:
    from edgeopt.schema.plan import Candidate, Plan


@click.command("plan")
@click.argument("model", metavar="RECIPE|MODEL", type=click.Path(path_type=Path))
@model_options
@devices_option
@json_option("Print the plan as JSON.")
def command(
    model: Path,
    data: Path | None,
    label: str | None,
    weights: Path | None,
    max_drop: str | None,
    as_json: bool,
) -> int:
    """Show the jobs and candidates of a recipe or of a model without one, and an estimate. Runs no
    pass."""
    given = {"data": data, "label": label, "weights": weights, "max_drop": max_drop}
    fields: dict[str, Any] = {name: value for name, value in given.items() if value}
    with lazy.listeners.listening(*([] if as_json else [lazy.progress.progress()])) as on_event:
        plan, estimate = lazy.api.plan(model, on_event=on_event, **fields)
    if as_json:
        print_json({"plan": plan.to_json(), "estimate": estimate})
    else:
        _show(plan, estimate)
    return 0


def _show(plan: Plan, estimate: dict[str, Any]) -> None:
    for target in dict.fromkeys(c.target for c in plan.candidates):
        lazy.layout.show_tree(target, _branches([c for c in plan.candidates if c.target == target]))
    lazy.layout.show_line()
    jobs = f"{estimate['jobs']}, {estimate['cached']} of them in the cache"
    lazy.layout.show_facts(
        [
            ("candidates", str(estimate["candidates"])),
            ("jobs", jobs),
            ("samples to score", f"{estimate['samples_scored']:,}"),
            ("races", f"up to {estimate['races']}"),
            ("time, roughly", f"{estimate['build_seconds']} s to build, "
             f"{estimate['race_seconds']} s to race"),
        ]
    )  # fmt: skip
    for note in plan.notes:
        lazy.layout.show_line(f"note: {note}", "dim")


def _branches(candidates: list[Candidate]) -> dict[str, Any]:
    """The chains as a tree; where one ends, what it is."""
    tree: dict[str, Any] = {}
    for candidate in candidates:
        ending = "candidate" if candidate.eligible else "reference only"
        if candidate.eligible and candidate.reference:
            ending = "candidate and reference"
        here = tree
        *stem, leaf = candidate.chain or ("source",)
        for label in stem:
            here = here.setdefault(label, {})
        here.setdefault(leaf, {})[f"= {ending}"] = {}
    return tree
