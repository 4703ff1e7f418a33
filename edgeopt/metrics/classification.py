"""Top-1 and top-k accuracy, that of the worst class, and macro F1, each alone and against the
source, sample by sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeopt.answers.outputs import Array, check_labels, class_scores
from edgeopt.schema.errors import DataError, ModelError
from edgeopt.schema.measurement import Measurement
from edgeopt.stats.bootstrap import PROTOCOL, holding, percentile_interval, resampled_counts
from edgeopt.stats.proportions import BONETT_PRICE, WILSON, each_of, paired_difference, wilson

TOGETHER = "of all classes together (Bonferroni)"


def measure(quantity: str, name: str, output: Array, labels: Array) -> Measurement:
    """``accuracy``, ``topK`` (Wilson), ``worst_class`` (the least accuracy of any class that has
    samples; Wilson's intervals of all classes together) or ``macro_f1`` (bootstrap), unit
    ``fraction``.

    Raises ModelError and DataError as ``check_labels`` and ``class_scores`` do.
    """
    scores, labels = _checked(name, output, labels)
    n = len(labels)
    if quantity == "worst_class":
        return _worst_alone(hits(scores, labels, 1), labels)
    if quantity == "macro_f1":
        cells, counts = _table(labels, _top(scores))
        value = float(_macro_f1(counts[np.newaxis], *cells)[0])
        low, high = percentile_interval(_macro_f1(resampled_counts(counts), *cells))
        protocol = PROTOCOL
    else:
        good = int(hits(scores, labels, _k(quantity, scores)).sum())
        value, (low, high), protocol = good / n, wilson(good, n), WILSON
    return _made(quantity, value, "fraction", (low, high), n, protocol)


def difference(
    quantity: str, name: str, output: Array, source: Array, labels: Array
) -> Measurement:
    """Candidate minus source on the same samples, unit ``fraction``.

    Accuracies by Bonett and Price's interval, macro F1 by a bootstrap of the pairs. That of
    ``worst_class`` is of the class that lost most, whichever it is, with intervals that hold for
    all classes together: none lost more than its lower end says.
    """
    mine, theirs, labels = _both(name, output, source, labels)
    n = len(labels)
    if quantity == "worst_class":
        return _lost_most(hits(mine, labels, 1), hits(theirs, labels, 1), labels)
    if quantity == "macro_f1":
        value, drawn = _paired_macro_f1(mine, theirs, labels)
        low, high = percentile_interval(drawn[0] - drawn[1])
        result, protocol = float(value[0] - value[1]), PROTOCOL
    else:
        a, b = (hits(scores, labels, _k(quantity, scores)) for scores in (mine, theirs))
        gained, lost = int((a & ~b).sum()), int((b & ~a).sum())
        result, protocol = (gained - lost) / n, BONETT_PRICE
        low, high = paired_difference(gained, lost, n)
    return _made(f"difference.{quantity}", result, "fraction", (low, high), n, protocol)


def ratio(quantity: str, name: str, output: Array, source: Array, labels: Array) -> Measurement:
    """Candidate over source on the same samples, unit ``x``, by a bootstrap of the pairs.

    Raises ModelError where the source's figure is zero, now or in more than a few resamples.
    """
    mine, theirs, labels = _both(name, output, source, labels)
    if quantity == "macro_f1":
        value, drawn = _paired_macro_f1(mine, theirs, labels)
    elif quantity == "worst_class":
        value, drawn = _least_ratio(hits(mine, labels, 1), hits(theirs, labels, 1), labels)
    else:
        pair = [hits(scores, labels, _k(quantity, scores)) for scores in (mine, theirs)]
        cells, counts = _table(*(good.astype(np.int64) for good in pair))
        weights = np.stack(cells).T  # (cells, 2): whether a cell's samples are hits
        value, drawn = counts @ weights, (resampled_counts(counts) @ weights).T
    defined = drawn[1] > 0
    if value[1] <= 0 or defined.mean() < 0.99:
        raise ModelError(f"{quantity} of the source is zero or nearly so: no ratio to it")
    interval = percentile_interval(drawn[0][defined] / drawn[1][defined])
    result = float(value[0] / value[1])
    return _made(f"ratio.{quantity}", result, "x", interval, len(labels), PROTOCOL)


def hits(scores: Array, labels: Array, k: int) -> Array:
    """Whether each label is among the ``k`` highest scores, (n,) bool.

    Of equal scores the lower class comes first, as in ``argmax``.
    """
    own = np.take_along_axis(scores, labels[:, np.newaxis], axis=1)
    earlier = np.arange(scores.shape[1]) < labels[:, np.newaxis]
    better: Array = (scores > own) | ((scores == own) & earlier)
    hit: Array = better.sum(axis=1) < k
    return hit


def _worst_alone(right: Array, labels: Array) -> Measurement:
    classes = np.unique(labels)
    ends = [
        (float(mine.mean()), *wilson(int(mine.sum()), len(mine), each_of(len(classes))), c)
        for c in classes.tolist()
        for mine in [right[labels == c]]
    ]
    return _of_all("worst_class", ends, len(labels), WILSON)


def _lost_most(mine: Array, theirs: Array, labels: Array) -> Measurement:
    """Of all classes the paired difference that is least."""
    classes, ends = np.unique(labels), []
    for c in classes.tolist():
        here = labels == c
        gained, lost = int((mine & ~theirs & here).sum()), int((theirs & ~mine & here).sum())
        n = int(here.sum())
        ends.append(
            ((gained - lost) / n, *paired_difference(gained, lost, n, each_of(len(classes))), c)
        )
    return _of_all("difference.worst_class", ends, len(labels), BONETT_PRICE)


def _of_all(
    quantity: str, ends: list[tuple[float, float, float, int]], n: int, protocol: str
) -> Measurement:
    """The least of the classes' figures, each (value, low, high, class); its interval is that of
    the least of all, as intervals that hold together allow."""
    value, _, _, worst = min(ends)
    interval = min(low for _, low, _, _ in ends), min(high for _, _, high, _ in ends)
    made = _made(quantity, value, "fraction", interval, n, f"{protocol}, {TOGETHER}")
    return made.model_copy(update={"where": f"class {worst}"})


def _least_ratio(mine: Array, theirs: Array, labels: Array) -> tuple[list[Any], list[Array]]:
    """Of all classes the least ratio of their accuracies, over 1, and that of every resample.

    A class that the source gets wrong throughout can lose nothing.
    """
    (truth, *right), counts = _table(labels, mine.astype(np.int64), theirs.astype(np.int64))
    n_classes = int(truth.max()) + 1

    def least(rows: Array) -> Array:
        good = [each.astype(bool) for each in right]
        a, b = (_by_class(rows[:, g], truth[g], n_classes) for g in good)
        shares = np.divide(a, b, out=np.full(a.shape, np.inf), where=b > 0)
        found: Array = shares.min(axis=1)
        return np.where(np.isfinite(found), found, 0.0)

    value, drawn = least(counts[np.newaxis]), least(resampled_counts(counts))
    return [float(value[0]), float(theirs.any())], [drawn, np.ones(len(drawn))]


def _made(
    quantity: str, value: float, unit: str, interval: tuple[float, float], n: int, protocol: str
) -> Measurement:
    """The Measurement; ``no-spread`` marks a bootstrap that could not tell how sure it is."""
    low, high = holding(interval, value)
    return Measurement(
        quantity=quantity,
        value=value,
        unit=unit,
        low=low,
        high=high,
        n=n,
        protocol=protocol,
        marks=("no-spread",) if low == high else (),
    )


def _k(quantity: str, scores: Array) -> int:
    k = 1 if quantity == "accuracy" else int(quantity.removeprefix("top"))
    if k > scores.shape[1]:
        raise DataError(f"{quantity} needs at least {k} classes, the model has {scores.shape[1]}")
    return k


def _checked(name: str, output: Array, labels: Array) -> tuple[Array, Array]:
    scores = class_scores(name, output)
    return scores, check_labels(labels, scores, name)


def _both(name: str, output: Array, source: Array, labels: Array) -> tuple[Array, Array, Array]:
    mine, labels = _checked(name, output, labels)
    theirs, _ = _checked(name, source, labels)
    if mine.shape != theirs.shape:
        raise ModelError(f"scores are {list(mine.shape)}, the source's {list(theirs.shape)}")
    return mine, theirs, labels


def _top(scores: Array) -> Array:
    top: Array = scores.argmax(axis=1)
    return top


def _table(*columns: Array) -> tuple[tuple[Array, ...], Array]:
    """Which combinations of the columns' values occur, as columns again, and how often."""
    cells, counts = np.unique(np.stack(columns), axis=1, return_counts=True)
    return tuple(cells), counts


def _paired_macro_f1(mine: Array, theirs: Array, labels: Array) -> tuple[list[Array], list[Array]]:
    """Macro F1 of both, and of both in every resample."""
    (truth, *guesses), counts = _table(labels, _top(mine), _top(theirs))
    drawn = resampled_counts(counts)
    return (
        [_macro_f1(counts[np.newaxis], truth, guess)[0] for guess in guesses],
        [_macro_f1(drawn, truth, guess) for guess in guesses],
    )


def _macro_f1(counts: Array, truth: Array, guess: Array) -> Array:
    """Macro F1 of each row of ``counts`` (rows, cells), where a cell is a truth and a guess.

    The mean of F1 = 2 tp / (true + guessed) over the classes that occur in the row, as a
    label or as a guess: scikit-learn's ``f1_score(average="macro")``.
    """
    n_classes = int(max(truth.max(), guess.max())) + 1
    occurs = _by_class(counts, truth, n_classes) + _by_class(counts, guess, n_classes)
    right = truth == guess
    doubled = 2 * _by_class(counts[:, right], truth[right], n_classes)
    f1 = np.divide(doubled, occurs, out=np.zeros(occurs.shape), where=occurs > 0)
    mean: Array = f1.sum(axis=1) / (occurs > 0).sum(axis=1)
    return mean


def _by_class(counts: Array, classes: Array, n_classes: int) -> Array:
    """Sums of the columns of ``counts`` that are of one class, (rows, n_classes)."""
    sums = np.zeros((len(counts), n_classes), np.int64)
    if classes.size:
        order = np.argsort(classes, kind="stable")
        present, starts = np.unique(classes[order], return_index=True)
        sums[:, present] = np.add.reduceat(counts[:, order], starts, axis=1)
    return sums
