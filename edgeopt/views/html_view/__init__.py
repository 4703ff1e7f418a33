"""One self-contained HTML page: no script, no link, light and dark, good to print."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from edgeopt.schema.base import printable
from edgeopt.schema.legend import PAGE, QUICK, UNRACED, legend, races
from edgeopt.schema.measurement import MARKS, Measurement
from edgeopt.schema.result import CandidateResult, Result, TargetResult
from edgeopt.schema.shown import answers, runners_up, samples, setting, settings, shown
from edgeopt.views.html_view.networks import pruned, searched
from edgeopt.views.html_view.pareto import Plot, plotted
from edgeopt.views.html_view.rows import (
    Row,
    checks,
    feeding,
    groups,
    rows_of,
    split,
    stages,
    tiles,
)
from edgeopt.views.html_view.tree import forest

VERDICTS = {
    "chosen": ("Chosen", "good"),
    "built": ("Built, not measured", "plain"),
    "unmet": ("Constraints unmet", "bad"),
    "refused-on-test": ("Refused on test", "bad"),
    "inconclusive": ("Inconclusive", "warn"),
    "unreachable": ("Unreachable", "warn"),
    "failed": ("Failed", "bad"),
}
MACHINE = {
    "cpu": "CPU",
    "isa": "Instruction set",
    "cores": "Cores",
    "memory_bytes": "Memory",
    "governor": "Frequency governor",
    "system": "System",
    "kernel": "Kernel",
    "load": "Load before",
    "runtime_version": "Runtime",
    "python": "Python",
}


def draw(result: Result) -> str:
    """The page. All text of the result is escaped; the same result gives the same bytes."""
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            result=result,
            title=_title(result),
            origin=_origin(result),
            targets=[_section(target) for target in result.targets],
            facts=_facts(result),
            command=_command(result),
            samples=samples(result),
            quick=QUICK if result.quick else UNRACED if result.unraced else "",
            search=searched(result),
            pruned=pruned(result),
            recipe=json.dumps(result.recipe, indent=2, ensure_ascii=False),
        )
    )


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("edgeopt.views.html_view", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )


def _shown(value: Any) -> Any:
    return printable(value) if type(value) is str else value


def _section(target: TargetResult) -> dict[str, Any]:
    """What the template needs of one target."""
    rows = rows_of(target)
    word, tone = VERDICTS[target.verdict]
    plot: Plot | None = plotted(target, rows)
    return {
        "target": target,
        "heading": target.named(of) if (of := shown(target)) else f"{target.target}: {word}",
        "word": word,
        "tone": tone,
        "rows": rows,
        "legend": [*legend(target), *_only_here(rows)],
        "settings": settings(target, of) if of else "",
        "runners_up": runners_up(target),
        "answers": answers(of) if of else "",
        "races": {row.number: races(row.candidate) for row in rows},
        "tiles": tiles(target),
        "checks": checks(target),
        "groups": groups(target),
        "feeding": [rows for rows in feeding(target) if rows],
        "split": split(target) if target.speed == "instructions" else [],
        "stages": stages(target),
        "shown": shown(target),
        "plot": plot,
        "tree": forest(rows),
        "machine": _machine(target.machine),
        "protocols": _protocols(rows),
        "marks": _marks(rows, target),
        "setting": setting(target),
    }


def _machine(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Known facts in order, then the rest; empty ones and long lists are left out."""
    rows = []
    for name in [*MACHINE, *(name for name in sorted(facts) if name not in MACHINE)]:
        value = facts.get(name)
        if name == "runtime_version" and isinstance(facts.get("runtimes"), dict):
            value = ", ".join(f"{runtime} {v}" for runtime, v in facts["runtimes"].items())
        if value in (None, "", 0) or isinstance(value, list | dict):
            continue
        if name == "memory_bytes":
            value = f"{value / 2**30:.1f} GiB"
        rows.append((MACHINE.get(name, name), f"{value:g}" if type(value) is float else str(value)))
    return rows


def _protocols(rows: list[Row]) -> list[tuple[str, str]]:
    """Each way of measuring that was used, with what it measured."""
    by_protocol: dict[str, dict[str, None]] = {}
    for row in rows:
        for measurement in _all(row.candidate):
            if measurement.protocol:
                by_protocol.setdefault(measurement.protocol, {})[measurement.quantity] = None
    return [(", ".join(quantities), protocol) for protocol, quantities in by_protocol.items()]


def _marks(rows: list[Row], target: TargetResult) -> list[str]:
    """What is to be known before some figures are believed, each with the rows it is of."""
    by_mark: dict[str, dict[int, None]] = {}
    for row in rows:
        for measurement in _all(row.candidate):
            for mark in measurement.marks:
                by_mark.setdefault(mark, {})[row.number] = None
    for mark in (mark for stage in target.stages for mark in stage.ratio.marks):
        by_mark.setdefault(mark, {})
    return [f"{MARKS.get(mark, mark)} ({_numbered(by_mark[mark])})" for mark in sorted(by_mark)]


def _all(candidate: CandidateResult) -> list[Measurement]:
    return [*candidate.measurements.values(), *candidate.before.values()]


def _numbered(rows: Collection[int]) -> str:
    """The rows, or how many there are where they are many: each figure has its mark beside it."""
    if not rows:
        return "stages"
    return f"{len(rows)} rows" if len(rows) > 5 else ", ".join(f"#{number}" for number in rows)


def _title(result: Result) -> str:
    """``edgeopt: resnet on local/*``."""
    file = _origin(result).replace("\\", "/").rpartition("/")[2]
    name = file.rpartition(":")[2] or file
    return f"edgeopt: {name} on {', '.join(target.target for target in result.targets)}"


def _origin(result: Result) -> str:
    """The file of the model, or the function that builds it, as the recipe names it."""
    model = result.recipe.get("model") or {}
    return str(model.get("path") or model.get("factory") or "model")


def _only_here(rows: list[Row]) -> list[tuple[str, str]]:
    """What the terms mean that this page alone shows, without columns that were left out."""
    columns = {cell.name.lower() for row in rows for cell in row.cells}
    return [(term, meaning) for term, meaning in PAGE
            if term in columns or term not in ("load time", "placement")]  # fmt: skip


def _command(result: Result) -> str:
    recipe = shlex.quote(result.recipe_path or "recipe.yaml")
    option = " --quick" if result.quick else " --no-race" if result.unraced else ""
    return f"edgeopt optimize {recipe}{option}"


def _facts(result: Result) -> list[tuple[str, str]]:
    """Seed, versions and digests: what a second run must share with this one."""
    rows = [("seed", str(result.recipe.get("seed", 0)))]
    rows += [(name, version) for name, version in result.versions.items()]
    digests = [("source model, all of its files together", result.source.get("digest"))]
    digests += [
        (f"data: arrays of {split}, {facts.get('n', 0):,} samples", facts.get("digest"))
        for split, facts in result.data.items()
    ]
    for target in result.targets:
        for candidate in target.candidates:
            if candidate.id == target.chosen and candidate.artifact:
                files = sorted(candidate.artifact.files.items())
                digests += [(f"{target.target}: {name}", digest) for name, digest in files]
    return rows + [(name, f"sha256:{digest}") for name, digest in digests if digest]
