"""What a model gave, checked before a figure is made of it. No metric: all metrics use it."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from edgeopt.schema.errors import DataError, ModelError

Array = np.ndarray[Any, Any]
T = TypeVar("T")
MOST_KEPT = 32  # arrays
MASK, ABOVE = 1e4, 100.0  # the least a number is that masks; times the largest other
Outputs = Mapping[str, Array]

_BLOCK_ELEMENTS = 1 << 22


def blocks(array: Array) -> Iterator[slice]:
    """Slices along the samples, each of a bounded number of elements."""
    step = max(1, _BLOCK_ELEMENTS // max(1, array[:1].size))
    for start in range(0, len(array), step):
        yield slice(start, start + step)


def check_outputs(outputs: Outputs) -> int:
    """The count of samples, which all outputs must share.

    Raises ModelError for no output, no sample, counts that differ, and for NaN, naming tensor
    and first sample. Infinities pass: masked scores are -inf.
    """
    if not outputs:
        raise ModelError("the model gave no output")
    counts = {name: len(array) if array.ndim else 0 for name, array in outputs.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise ModelError(f"outputs without one entry for each sample: {counts}")
    for name, array in outputs.items():
        if array.dtype.kind not in "biuf" or not array.size:
            raise ModelError(f"output '{name}' is {array.dtype}{list(array.shape)}: not numbers")
        if array.dtype.kind != "f":
            continue
        for block in blocks(array):
            bad = np.isnan(array[block]).any(axis=tuple(range(1, array.ndim)))
            if bad.any():
                sample = block.start + int(np.argmax(bad))
                raise ModelError(f"output '{name}' is NaN for sample {sample}")
    return next(iter(counts.values()))


def kept(function: Callable[[Array], T]) -> Callable[[Array], T]:
    """What a function makes of an array, kept for as long as the array lives: many ask for it."""
    held: OrderedDict[int, tuple[weakref.ref[Array], T]] = OrderedDict()

    @wraps(function)
    def of(array: Array) -> T:
        kept_one = held.get(id(array))
        if kept_one is not None and kept_one[0]() is array:
            return kept_one[1]
        value = function(array)
        held[id(array)] = (weakref.ref(array), value)
        while len(held) > MOST_KEPT:
            held.popitem(last=False)
        return value

    return of


def without_shared_infinities(mine: Array, theirs: Array, name: str = "") -> tuple[Array, Array]:
    """Two outputs of one shape with 0 where both hold the same infinity; else as they are.

    For what is added or subtracted: an arg max needs the infinities. Raises ModelError, naming
    output and first sample, for an infinity that the other has not, or with the other sign.
    """
    mine = with_equal_masks(mine, theirs)
    infinite = np.isinf(mine) | np.isinf(theirs)
    if not infinite.any():
        return mine, theirs
    _check_shared(mine, theirs, name, 0)
    zero = mine.dtype.type(0)
    return np.where(infinite, zero, mine), np.where(infinite, theirs.dtype.type(0), theirs)


def with_equal_masks(mine: Array, theirs: Array) -> Array:
    """A candidate's output with the source's number where one masks by -inf, and the other by a
    negative number of at least 1e4 that is a hundred times larger than any other value.

    FP16 makes -inf of -1e9, and some runtimes clamp -inf to the least number there is. A large
    positive number that became infinite has overflowed: it stays as it is.
    """
    if mine.dtype.kind != "f" or theirs.dtype.kind != "f":
        return mine
    alone = (np.isneginf(mine) ^ np.isneginf(theirs)) & (mine < -MASK) & (theirs < -MASK)
    if not alone.any():
        return mine
    others = (each[~alone & np.isfinite(each)] for each in (mine, theirs))
    largest = max(float(np.abs(each).max(initial=0.0)) for each in others)
    alone &= np.maximum(mine, theirs) <= -ABOVE * largest
    equal: Array = np.where(alone, theirs, mine)
    return equal


def _check_shared(mine: Array, theirs: Array, name: str, start: int) -> None:
    alone = (np.isinf(mine) | np.isinf(theirs)) & (mine != theirs)
    if alone.any():
        bad = alone.reshape(len(mine), -1).any(axis=1)
        raise ModelError(
            f"output '{name}' is infinite at sample {start + int(np.argmax(bad))} where the "
            "source's is not, or the other way round",
            hint="a number may have overflowed, or a mask have become a finite number",
        )


def class_scores(name: str, array: Array) -> Array:
    """An output as (n, classes) scores; trailing axes of size 1 drop. Raises ModelError."""
    if array.ndim >= 2 and array.shape[1] > 1 and set(array.shape[2:]) <= {1}:
        return np.asarray(array).reshape(array.shape[:2])
    raise ModelError(
        f"output '{name}' {list(array.shape)} has no score for each class, [samples, classes]",
        hint="use fidelity.cosine or fidelity.sqnr for such an output",
    )


def check_labels(labels: Array, scores: Array, name: str) -> Array:
    """The labels as int64, if each names a class that output ``name`` has a score for.

    Raises DataError naming the first bad sample and its label.
    """
    if labels.size != len(scores) or len(labels) != len(scores) or labels.dtype.kind not in "biu":
        raise DataError(
            f"labels are {labels.dtype}{list(labels.shape)}, output '{name}' is for "
            f"{len(scores):,} samples: one whole number each is needed"
        )
    classes = labels.reshape(-1).astype(np.int64)
    check_range(classes, scores.shape[1], name)
    return classes


def check_range(labels: Array, classes: int, name: str, where: str = "") -> None:
    """Raise DataError, naming the first bad sample, unless all labels are below ``classes``."""
    bad = (labels < 0) | (labels >= classes)
    if bad.any():
        sample = int(np.argmax(bad))
        raise DataError(
            f"label {labels[sample]} of sample {sample} is out of range: output '{name}' has "
            f"{classes} classes ({int(bad.sum()):,} such samples in all)",
            where=where,
            hint="labels count from 0",
        )


def aligned(outputs: Outputs, source: Outputs) -> Outputs:
    """A candidate's outputs by the source's names: by equal names, else by position.

    Raises ModelError, naming output and sample, where count or shapes differ, and for an infinity
    that only one side has.
    """
    check_outputs(outputs)
    check_outputs(source)
    if len(outputs) != len(source):
        raise ModelError(f"{len(outputs)} outputs against {len(source)} of the source")
    names = outputs if set(outputs) == set(source) else source
    by_name = {}
    for (name, array), other in zip(outputs.items(), names, strict=True):
        if array.shape != source[other].shape:
            raise ModelError(
                f"output '{name}' is {list(array.shape)}, '{other}' of the source is "
                f"{list(source[other].shape)}"
            )
        array = with_equal_masks(array, source[other])
        for block in blocks(array):
            _check_shared(array[block], source[other][block], name, block.start)
        by_name[other] = array
    return by_name
