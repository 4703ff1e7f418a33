"""A comparison in Markdown: for comments on pull requests."""

from __future__ import annotations

import re

from edgeopt.report.compared import HEADERS, answered, rows
from edgeopt.schema.base import printable
from edgeopt.schema.comparison import Comparison

SIGNS = {"pass": "✅", "fail": "❌", "inconclusive": "❔"}
MEANING = re.compile(r"([\\`*_{}\[\]<>|#!])")


def draw(comparison: Comparison) -> str:
    """The whole text; what comes from outside is escaped."""
    lines = [f"**A** {_plain(comparison.a)}  ", f"**B** {_plain(comparison.b)}"]
    if comparison.samples:
        lines[-1] += "  "
        lines.append(f"samples: {_plain(comparison.samples)}")
    for pair in comparison.pairs:
        lines += ["", f"### {_plain(pair.target)}", ""]
        lines += [f"| {' | '.join(HEADERS)} |", "| --- | ---: | ---: | ---: |"]
        lines += [f"| {' | '.join(map(_plain, row))} |" for row in rows(pair)]
        if pair.answers:
            lines += ["", _plain(answered(pair.answers))]
        lines += ["", *(f"- {SIGNS[v.verdict]} {_plain(v.sentence)}" for v in pair.verdicts)]
        lines += [f"- {_plain(note)}" for note in pair.notes]
    lines += ["", *(f"- {_plain(note)}" for note in comparison.notes)]
    return "\n".join(lines).rstrip() + "\n"


def _plain(text: str) -> str:
    """One line whose characters mean themselves."""
    return MEANING.sub(r"\\\1", " ".join(printable(text).split()))
