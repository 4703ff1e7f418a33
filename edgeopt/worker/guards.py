"""Wrong answers that no promise forbids and no label is needed to see.

Each guard gives a ``Finding``, or None: what a model does, as a sentence without its subject,
and what the user may do about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from edgeopt.schema.artifact import DYNAMIC, Tensor
from edgeopt.worker.answers import Answering
from edgeopt.worker.rounding import EXPLAINED, noise

ALONE = 4  # samples that are asked again
SAME, OTHER = 0.99, 0.9  # cosines from which on, and below which, answers are one or another
# How far sums in another order may take an answer, of the largest value: a value that rounds the
# other way moves by a whole step where numbers are quantized, or only seem so in training.
ROUNDING = {"int8": 5e-2, "fake-quantized": 5e-2, "float16": 2e-2, "float32": 1e-3}


TOUCHING = (
    "samples of a batch must not touch each other: look for norms in training mode, and for "
    "reshapes and means over the first axis"
)
SIZED = (
    "the other samples do not matter, the size of the batch does: look for a size that is "
    "computed with"
)
TOGETHER = (
    "the range of its activations is found over all samples of a batch: run it in the batch that "
    "it was measured in"
)
CANCELLING = (
    "large numbers cancel there: take off what they have in common before they are multiplied and "
    "summed, or expect no artifact to agree more closely"
)


class Finding(NamedTuple):
    """What a model does wrong, and what to do next; what is not ``fatal`` is only told."""

    what: str
    hint: str
    fatal: bool = True


def unsteady(model: Answering, outputs: Sequence[np.ndarray]) -> Finding | None:
    """The same samples again: every bit must come again."""
    count = min(model.n, max(ALONE, model.batch or ALONE))
    first = {name: feed[:count] for name, feed in model.feeds.items()}
    before = outputs if count == model.n else model.outputs(first)
    again = model.outputs(first)
    for tensor, a, b in zip(model.tensors, before, again, strict=True):
        if a.tobytes() != b.tobytes():
            gap, sample = apart(a, b)
            return Finding(
                f"answers differently from run to run: output '{tensor.name}' by {gap:.3g} at "
                f"sample {sample}",
                "dropout or another random operator is left on; a model that is measured must "
                "be steady",
            )
    return None


def entangled(model: Answering, outputs: Sequence[np.ndarray]) -> Finding | None:
    """A few samples alone, or among copies of themselves where the batch is fixed.

    What differs is asked again in a batch of the same size, of copies: answers that stay show
    that other samples do not matter, and rounding may explain the rest, which is not ``fatal``.
    """
    size = model.batch
    if model.n < 2 or size == 1:
        return None
    count = min(model.n, ALONE)
    rows = np.repeat(np.arange(count), size or 1)
    others = model.outputs({name: feed[rows] for name, feed in model.feeds.items()}, size=1)
    copies: list[np.ndarray] | None = None
    finding = None
    for place, (tensor, whole, part) in enumerate(zip(model.tensors, outputs, others, strict=True)):
        gap, sample = apart(whole[:count], part[:: size or 1])
        largest = largest_of(whole)
        most = allowed(model, largest)
        if gap <= most:
            continue
        copies = copies or _among_copies(model, count)
        how = f"in a batch of {size or model.n} and alone: output '{tensor.name}' by {gap:.3g}"
        what = f"answers differently {how} at sample {sample}"
        if DYNAMIC in model.description.facts:
            finding = finding or Finding(what, TOGETHER, fatal=False)
            continue
        if apart(whole[:count], copies[place])[0] > most:
            return Finding(what, TOUCHING)
        step = noise(model, outputs)[place]
        if gap > EXPLAINED * step:
            return Finding(what, SIZED)
        share = gap / (largest or 1.0)
        lost = (
            f"loses the digits of output '{tensor.name}' in float32: in a batch of "
            f"{size or model.n} and alone they are {gap:.2g} apart, {share:.2g} of its "
            f"largest value, and one rounding step of the inputs moves them by {step:.2g}"
        )
        finding = finding or Finding(lost, CANCELLING, fatal=False)
    return finding


def _among_copies(model: Answering, count: int) -> list[np.ndarray]:
    """The first samples, each at its place in a batch of copies of itself: (count, ...) each."""
    size = model.batch or model.n
    parts = []
    for sample in range(count):
        rows = np.full(size, sample)
        made = model.outputs({name: feed[rows] for name, feed in model.feeds.items()})
        parts.append([output[sample % size] for output in made])
    return [np.stack(each) for each in zip(*parts, strict=True)]


def constant(
    model: Answering,
    outputs: Sequence[np.ndarray],
    parent: Answering | None = None,
    before: Sequence[np.ndarray] | None = None,
) -> Finding | None:
    """The same answer to all samples: of an output that its parent varies, or of all.

    What the first samples do not move is asked more of them: events may be rare.
    """
    n, feeds = model.n, model.feeds
    blamed = _unmoved(model.tensors, outputs, before)
    more = min(map(len, model.pool.values()), default=0)
    if (blamed or all(map(_still, outputs))) and more > n:
        n, feeds = more, model.pool
        outputs = model.outputs(feeds, size=model.n)
        if parent is not None and any(map(_still, outputs)):
            before = parent.outputs(parent.pool, size=parent.n)
        blamed = _unmoved(model.tensors, outputs, before)
    if not blamed or not any(_off(feed[:n], feed[:1]).any() for feed in feeds.values()):
        return None
    return Finding(
        f"gives the same output '{blamed[0].name}' for all {n} samples, which differ",
        "values may be saturated, or weights lost; compare preprocess with what the model was "
        "trained with",
    )


def _unmoved(
    tensors: Sequence[Tensor], outputs: Sequence[np.ndarray], before: Sequence[np.ndarray] | None
) -> list[Tensor]:
    """Outputs that are the same for all samples and should not be."""
    still = [tensor for tensor, o in zip(tensors, outputs, strict=True) if _still(o)]
    if before is None:
        return still if len(still) == len(outputs) else []
    moved = [not _still(o) for o in before]
    return [t for t, m in zip(tensors, moved, strict=False) if m and t in still]


def confused(
    model: Answering, parent: Sequence[Tensor], before: Sequence[np.ndarray],
    after: Sequence[np.ndarray],
) -> Finding | None:  # fmt: skip
    """What explains answers that are others altogether: an order of outputs, or of an input.

    Answers are compared by the cosine of all samples together.
    """
    if all(_cosine(a, b) >= OTHER for a, b in zip(before, after, strict=True)):
        return None
    hint = "the pass changed an order; please report it, with the model"
    if order := _order(before, after):
        swaps = ", ".join(f"'{model.tensors[new].name}' gives what '{parent[old].name}' gave"
                          for old, new in enumerate(order) if old != new)  # fmt: skip
        return Finding(f"gives its outputs in another order: {swaps}", hint)
    for tensor, a, b in zip(model.tensors, before, after, strict=True):
        if moved := _entries(a, b):
            old, new = next((old, new) for old, new in enumerate(moved) if old != new)
            return Finding(
                f"gives the entries of output '{tensor.name}' in another order: entry {new} is "
                f"what entry {old} was",
                hint,
            )
    for name, what, feeds in _swapped(model):
        answers = model.outputs(feeds)
        if all(_cosine(a, b) >= SAME for a, b in zip(before, answers, strict=True)):
            return Finding(f"seems to read input '{name}' {what}", hint)
    return None


def _swapped(model: Answering) -> Iterator[tuple[str, str, Mapping[str, np.ndarray]]]:
    """Feeds that make up for one image input read otherwise: (input, how it is read, feeds)."""
    for tensor in model.description.signature.inputs:
        feed = model.feeds[tensor.name]
        if feed.ndim != 4 or model.axes.get(tensor.name, 0) is None:
            continue
        n, a, b, c = feed.shape
        height, width = (1, 2) if tensor.layout == "NHWC" else (2, 3)
        channels = 6 - height - width
        changed = {
            "with its channels reversed": np.flip(feed, channels),
            "channels-last, while it is fed channels-first": np.reshape(
                np.moveaxis(feed, 1, 3), feed.shape
            ),
            "channels-first, while it is fed channels-last": np.moveaxis(
                np.reshape(feed, (n, b, c, a)), 3, 1
            ),
        }
        if feed.shape[height] == feed.shape[width]:
            changed["with height and width swapped"] = np.swapaxes(feed, height, width)
        for what, values in changed.items():
            if (values != feed).any():
                yield tensor.name, what, {**model.feeds, tensor.name: values}


def _order(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> list[int] | None:
    """Where each of the parent's outputs went, if they only changed places."""
    found: list[int] = []
    for old in before:
        near = [i for i, new in enumerate(after) if i not in found and _cosine(old, new) >= SAME]
        if not near:
            return None
        found.append(near[0])
    return found if found != sorted(found) else None


def _entries(before: np.ndarray, after: np.ndarray) -> list[int] | None:
    """Where each entry of (n, k) answers went, if they only changed places."""
    from scipy.optimize import linear_sum_assignment  # slow

    if before.ndim != 2 or before.shape != after.shape or not 2 <= before.shape[1] <= 1000:
        return None
    plain = (np.where(np.isinf(x), 0.0, x.astype(np.float64)) for x in (before, after))
    a, b = (x - x.mean(axis=0) for x in plain)
    norms = np.linalg.norm(a, axis=0)[:, None] * np.linalg.norm(b, axis=0)[None]
    near = np.divide(a.T @ b, norms, out=np.zeros(norms.shape), where=norms > 0)
    _, columns = linear_sum_assignment(-near)
    moved = [int(column) for column in columns]
    if moved == sorted(moved) or _cosine(before, after[:, columns]) < SAME:
        return None
    return moved


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of all values together; 0 where shapes or infinities differ."""
    if a.shape != b.shape:
        return 0.0
    x, y = (each.astype(np.float64).ravel() for each in (a, b))
    infinite = np.isinf(x) | np.isinf(y)
    if (x[infinite] != y[infinite]).any():
        return 0.0
    x, y = x[~infinite], y[~infinite]
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm else float(not x.any() and not y.any())


def _off(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How far values are apart, float64: not at all where both are the same infinity."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.where(x == y, 0.0, np.abs(x - y))


def apart(a: np.ndarray, b: np.ndarray) -> tuple[float, int]:
    """The largest difference, and in which sample."""
    worst = _off(a, b).reshape(len(a), -1).max(axis=1, initial=0.0)
    return float(worst.max(initial=0.0)), int(np.argmax(worst))


def largest_of(output: np.ndarray) -> float:
    """The largest finite value, without its sign."""
    return float(np.abs(output[np.isfinite(output)]).max(initial=0.0))


def _still(output: np.ndarray) -> bool:
    return float(_off(output, output[:1]).max(initial=0.0)) <= 1e-6 * largest_of(output)


def allowed(model: Answering, largest: float) -> float:
    """How far sums in another order may take an output of a model of these facts."""
    facts = model.description.facts
    share = next((s for fact, s in ROUNDING.items() if fact in facts), ROUNDING["float32"])
    return share * largest + 1e-5
