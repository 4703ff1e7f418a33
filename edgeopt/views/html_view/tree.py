"""The passes as a forest: chains that share their first steps share the branch."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgeopt.schema.result import PassRecord
from edgeopt.views.html_view.rows import Row


@dataclass
class Node:
    """One pass that ran once, with the candidates that end there."""

    step: PassRecord | None
    rows: list[Row] = field(default_factory=list)
    children: dict[str, Node] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """``failed``, ``cached``, or how long it ran."""
        if self.step is None:
            return ""
        if self.step.error:
            return "failed"
        return "cached" if self.step.cached else f"{self.step.seconds:.1f} s"

    @property
    def note(self) -> str:
        """What the check said, or the error."""
        if self.step is None:
            return ""
        if self.step.error:
            return self.step.error.get("what", "")
        sentence = self.step.check.get("sentence", "")
        return str(sentence or (self.step.promise and f"promise: {self.step.promise}"))


def forest(rows: list[Row]) -> Node:
    """The source with everything that grew from it."""
    root = Node(None)
    for row in rows:
        node = root
        for step in row.candidate.chain:
            node = node.children.setdefault(step.job, Node(step))
        node.rows.append(row)
    return root
