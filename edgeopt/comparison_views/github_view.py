"""A comparison as annotations of GitHub Actions: an error, a warning or a notice for each verdict.

The syntax is that of GitHub's workflow commands (docs.github.com, "Workflow commands for GitHub
Actions").
"""

from __future__ import annotations

from edgeopt.schema.base import printable
from edgeopt.schema.comparison import Comparison

LEVELS = {"pass": "notice", "fail": "error", "inconclusive": "warning"}


def draw(comparison: Comparison) -> str:
    """The whole text: failed bounds are errors, inconclusive ones warnings, passed ones notices."""
    lines = [
        _line(LEVELS[verdict.verdict], f"{pair.target}: {verdict.constraint}", verdict.sentence)
        for pair in comparison.pairs
        for verdict in pair.verdicts
    ]
    lines += [_line("error", target, why) for target, why in comparison.undecided.items()]
    lines += [
        _line("warning", pair.target, note)
        for pair in comparison.pairs
        for note in pair.notes
        if "not checked" in note
    ]
    return "".join(f"{line}\n" for line in lines)


def _line(level: str, title: str, text: str) -> str:
    named = _escaped(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={named}::{_escaped(text)}"


def _escaped(text: str) -> str:
    """One line whose characters end no command."""
    plain = printable(" ".join(text.split()))
    return plain.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
