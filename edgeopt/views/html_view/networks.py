"""What a search tried and what pruning left of each layer, as rows of tables."""

from __future__ import annotations

from typing import Any

from edgeopt.schema.measurement import figure
from edgeopt.schema.result import Result
from edgeopt.schema.shown import kept
from edgeopt.views.html_view.rows import Cell


def searched(result: Result) -> list[list[Cell]]:
    """What a search tried, the widest first."""
    points = sorted(result.search, key=lambda p: (p.target, -p.fraction))
    return [
        [
            Cell("Target", p.target),
            Cell("MACs kept", f"{p.fraction:.3g}"),
            Cell("x reference", "" if p.ratio is None else figure(p.ratio, "x"), strong=True),
            Cell("Margin to the constraints", "" if p.margin is None else f"{p.margin:+.2%}",
                 strong=True),
            Cell("Outcome", p.word),
        ]
        for p in points
    ]  # fmt: skip


def pruned(result: Result) -> list[tuple[str, list[list[Cell]]]]:
    """By pass and the shares it kept, what it left of each layer, or why it left it alone."""
    records = {
        step.job: step
        for target in result.targets
        for candidate in target.candidates
        for step in candidate.chain
        if step.found.get("layers")
    }
    return [
        (
            f"{step.label}: {kept(step)}" if kept(step) else step.label,
            [
                [
                    Cell("Layer", each["path"]),
                    Cell("Kind", each["kind"]),
                    Cell("Kept", _kept(each), strong=True),
                    Cell("Goes with", each["group"] if each["group"] != each["path"] else ""),
                    Cell("Left alone because", each["reason"]),
                ]
                for each in step.found["layers"]
            ],
        )
        for step in records.values()
    ]


def _kept(layer: dict[str, Any]) -> str:
    return f"{layer['kept']} of {layer['units']} {layer['unit']}s" if layer["units"] else ""
