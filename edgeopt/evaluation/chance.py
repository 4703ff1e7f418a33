"""Answers that are no better than guessing, and what may be behind them.

Guessing is to name the most frequent class of the labels every time. A model is no better where
the lower end of its accuracy's 95% interval (Wilson) does not lie above that.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgeopt.answers.outputs import Array, check_labels, class_scores
from edgeopt.schema.measurement import figure
from edgeopt.stats.proportions import wilson

SAMPLES_A_CLASS = 10  # below, an assignment of classes could fit by luck
FEW = 30
KEPT = 0.25  # of the source's lead; a candidate that keeps less only guesses
FOUND = 0.5  # accuracy under other names of the classes that is worth telling


class Lead(NamedTuple):
    """How far answers are ahead of guessing, on n samples; ``low`` is the accuracy's lower end."""

    accuracy: float
    low: float
    share: float
    n: int

    @property
    def lost(self) -> bool:
        """Whether it may as well be guessing. A few samples prove nothing."""
        return self.accuracy <= self.share or (self.low <= self.share and self.n >= FEW)

    def lost_beside(self, source: Lead) -> bool:
        """Whether most of the lead that the source has is gone."""
        return self.accuracy - self.share < KEPT * (source.accuracy - source.share)

    def against(self, source: Lead) -> str:
        """What ``lost_beside`` found, in words."""
        mine, theirs, guess = (
            figure(value, "fraction", 4) for value in (self.accuracy, source.accuracy, self.share)
        )
        return (
            f"accuracy {mine} on {self.n:,} samples; the source has {theirs}, and always naming "
            f"the most frequent class {guess}"
        )

    def __str__(self) -> str:
        return (
            f"accuracy {figure(self.accuracy, 'fraction', 4)} on {self.n:,} samples is no better "
            f"than always naming the most frequent class ({figure(self.share, 'fraction', 4)})"
        )


def lead(name: str, output: Array, labels: Array) -> Lead:
    """The lead over guessing. Raises as ``class_scores`` and ``check_labels`` do."""
    scores = class_scores(name, output)
    truth = check_labels(labels, scores, name)
    right = int((scores.argmax(axis=1) == truth).sum())
    n = len(truth)
    return Lead(right / n, wilson(right, n)[0], float(np.bincount(truth).max()) / n, n)


def other_names(name: str, output: Array, labels: Array) -> str:
    """How the classes must be renamed for the answers to be right; nothing where no way is found.

    The best assignment of guessed to true classes (the Hungarian method) is told where it
    makes more than half of the answers right.
    """
    from scipy.optimize import linear_sum_assignment  # slow

    scores = class_scores(name, output)
    truth, classes = check_labels(labels, scores, name), scores.shape[1]
    n = len(truth)
    if n < SAMPLES_A_CLASS * classes:
        return ""
    table = np.zeros((classes, classes), np.int64)  # guessed by true
    np.add.at(table, (scores.argmax(axis=1), truth), 1)
    guessed, true = linear_sum_assignment(-table)
    right = int(table[guessed, true].sum())
    if right / n < FOUND or (guessed == true).all():
        return ""
    would = f"accuracy would be {figure(right / n, 'fraction', 3)}"
    moves = {int(a): int(b) for a, b in zip(guessed, true, strict=True) if table[a, b]}
    steps = {(b - a) % classes for a, b in moves.items()}
    if len(steps) == 1:
        (step,) = steps
        by = step if step <= classes // 2 else step - classes
        return f"the labels are {by:+d} off the model's classes: corrected, {would}"
    examples = ", ".join(f"{a} is {b}" for a, b in list(moves.items())[:5] if a != b)
    return (
        f"the labels are not in the order of the model's classes ({examples} ...): "
        f"corrected, {would}"
    )
