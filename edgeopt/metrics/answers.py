"""How the answers of two models differ, sample by sample."""

from __future__ import annotations

import numpy as np

from edgeopt.metrics.outputs import (
    Array,
    Outputs,
    class_scores,
    paired,
    without_shared_infinities,
)
from edgeopt.schema.comparison import Answers
from edgeopt.stats.paired import mcnemar


def answers(a: Outputs, b: Outputs, labels: Array | None) -> Answers:
    """Changed top classes, McNemar's test where labels are classes, and the worst sample.

    A sample's top class is the largest element of every output. Raises ModelError for outputs
    that do not match, or where one has an infinity that the other has not.
    """
    pairs = paired(b, a)
    n = len(pairs[0][1])
    same, apart = np.ones(n, bool), np.zeros(n)
    for name, mine, theirs in pairs:
        x, y = (np.asarray(each, np.float64).reshape(n, -1) for each in (mine, theirs))
        same &= x.argmax(axis=1) == y.argmax(axis=1)
        x, y = without_shared_infinities(x, y, name)
        largest = float(np.abs(y).max(initial=0.0)) or 1.0
        apart = np.maximum(apart, np.abs(x - y).max(axis=1, initial=0.0) / largest)
    found = {"n": n, "changed": int((~same).sum()), "worst": int(apart.argmax())}
    if labels is None or labels.dtype.kind not in "iu":
        return Answers(**found)
    right = [class_scores(each)[1].argmax(axis=1) == labels for each in (a, b)]
    gained, lost = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
    return Answers(**found, gained=gained, lost=lost, p=mcnemar(gained, lost))
