from __future__ import annotations

from typing import Any

import result_sample as sample

from edgeopt.schema.result import CurvePoint, PassRecord, Result
from edgeopt.views.html_view.networks import pruned, searched

LAYERS = [
    {"path": "stem", "kind": "Conv2d", "units": 16, "kept": 8, "unit": "channel", "group": "stem",
     "reason": ""},
    {"path": "next", "kind": "Conv2d", "units": 16, "kept": 8, "unit": "channel", "group": "stem",
     "reason": ""},
    {"path": "head", "kind": "Linear", "units": 0, "kept": 0, "unit": "", "group": "",
     "reason": "its channels are the network's output"},
]  # fmt: skip


def result_of(found: dict[str, Any], copies: int = 1) -> Result:
    """A result with candidates that share a pruning pass."""
    step = PassRecord(label="prune(macs=0.5)", name="prune-structured", job="prune", found=found)
    made = [c.model_copy(update={"chain": (step,)}) for c in sample.candidates()[:copies]]
    return sample.sample_result(sample.sample_target(candidates=tuple(made), chosen=None))


def test_what_a_search_tried_stands_with_the_widest_first() -> None:
    points = [
        CurvePoint(target="t", fraction=0.25, ratio=0.4, margin=-0.02, holds=False),
        CurvePoint(target="t", fraction=0.5, taken=True),
        CurvePoint(target="a", fraction=0.1),
    ]
    rows = searched(sample.sample_result(search=points))
    assert [[cell.value for cell in row] for row in rows] == [
        ["a", "0.1", "", "", "offered"],
        ["t", "0.5", "", "", "taken"],
        ["t", "0.25", "0.40x", "-2.00%", "does not hold"],
    ]
    assert searched(sample.sample_result()) == []


def test_what_pruning_left_of_each_layer_is_told_once_a_pass() -> None:
    found = {"layers": LAYERS, "before": {"macs": 100}, "after": {"macs": 50}}
    ((title, rows),) = pruned(result_of(found, copies=3))
    assert title == "prune(macs=0.5): 50.0% of multiply-accumulates"
    assert [[cell.value for cell in row] for row in rows] == [
        ["stem", "Conv2d", "8 of 16 channels", "", ""],
        ["next", "Conv2d", "8 of 16 channels", "stem", ""],
        ["head", "Linear", "", "", "its channels are the network's output"],
    ]


def test_a_pass_that_tells_no_layers_has_no_table() -> None:
    assert pruned(sample.sample_result()) == []
    ((title, _),) = pruned(result_of({"layers": LAYERS}))
    assert title == "prune(macs=0.5)"
