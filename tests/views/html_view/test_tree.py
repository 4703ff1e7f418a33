from __future__ import annotations

from typing import Any

import pytest
import result_sample as sample

from edgeopt.schema.result import PassRecord
from edgeopt.views.html_view.rows import rows_of
from edgeopt.views.html_view.tree import Node, forest


def test_chains_share_the_branch_of_their_first_steps() -> None:
    target = sample.sample_target()
    root = forest(rows_of(target))
    assert root.step is None and root.state == root.note == ""
    (export,) = root.children.values()
    assert export.step is not None and export.step.label == "export-onnx"
    assert [row.candidate.status for row in export.rows] == ["reference"]
    simplify = export.children["export-onnx/simplify-onnx"]
    assert len(simplify.children) == 5
    assert count(root) == len(target.candidates), "each ends in one place"


def count(node: Node) -> int:
    return len(node.rows) + sum(map(count, node.children.values()))


@pytest.mark.parametrize(
    ("given", "state", "note"),
    [
        ({"seconds": 1.26, "promise": "close"}, "1.3 s", "promise: close"),
        ({"cached": True, "check": {"sentence": "near"}, "promise": "close"}, "cached", "near"),
        ({"error": {"what": "it broke"}, "cached": True}, "failed", "it broke"),
        ({}, "0.0 s", ""),
    ],
)
def test_a_pass_is_told_by_how_it_ended(given: dict[str, Any], state: str, note: str) -> None:
    node = Node(PassRecord(label="p", name="p", job="p", **given))
    assert (node.state, node.note) == (state, note)
