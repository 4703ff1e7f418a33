"""How the answers of two models differ, sample by sample."""

from __future__ import annotations

import numpy as np

from edgeopt.answers.decisions import agreeing
from edgeopt.answers.labels import Labels
from edgeopt.answers.outputs import (
    Array,
    Outputs,
    aligned,
    check_labels,
    class_scores,
    without_shared_infinities,
)
from edgeopt.answers.profile import profile
from edgeopt.evaluation import outputs_with
from edgeopt.schema.comparison import Answers
from edgeopt.schema.errors import DataError
from edgeopt.stats.paired import mcnemar


def answers(a: Outputs, b: Outputs, labels: Labels) -> Answers:
    """Changed decisions, McNemar's test where labels are classes, and the worst sample.

    A sample counts as changed where any output decides otherwise. Of several outputs with classes
    the test is of the first. Raises ModelError for outputs that do not
    match, or where one has an infinity that the other has not.
    """
    mine = aligned(b, a)
    n = len(next(iter(a.values())))
    same, apart = np.ones(n, bool), np.zeros(n)
    for name, theirs in a.items():
        for _, rows in agreeing(mine[name], theirs, profile(theirs)):
            same &= rows == 1.0
        x, y = (np.asarray(each, np.float64).reshape(n, -1) for each in (mine[name], theirs))
        x, y = without_shared_infinities(x, y, name)
        largest = float(np.abs(y).max(initial=0.0)) or 1.0
        apart = np.maximum(apart, np.abs(x - y).max(axis=1, initial=0.0) / largest)
    fields = {"n": n, "changed": int((~same).sum()), "worst": int(apart.argmax())}
    judged = _classified(a, labels)
    if judged is None:
        return Answers(**fields)
    right = [_right(judged, each[judged], labels[judged]) for each in (a, mine)]
    gained, lost = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
    return Answers(**fields, gained=gained, lost=lost, p=mcnemar(gained, lost))


def _classified(outputs: Outputs, labels: Labels) -> str | None:
    try:
        return outputs_with("accuracy", outputs, labels)[0]
    except DataError:
        return None


def _right(name: str, output: Array, labels: Array) -> Array:
    scores = class_scores(name, output)
    right: Array = scores.argmax(axis=1) == check_labels(labels, scores, name)
    return right
