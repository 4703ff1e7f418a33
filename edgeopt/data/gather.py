"""Samples as users yield them: batches, tuples, dicts, tensors; gathered into arrays by name."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from edgeopt.schema.errors import DataError

Array = np.ndarray[Any, Any]
Tell = Callable[[int], None]
LABELS = ("label", "labels", "target", "targets", "y")
LABEL = "label"


def joined(
    items: Iterator[tuple[Any, bool]],
    inputs: Sequence[str] | None,
    where: str,
    tell: Tell,
    most: int,
) -> dict[str, Array]:
    """``{array: (n, ...)}`` of (item, whether it is a batch), at most ``most`` samples.

    ``inputs`` are the names that the parts of a sample go by, in order, before its label; None
    takes every entry of a dict. Raises DataError, naming item and array.
    """
    parts: dict[str, list[Array]] = {}
    count = 0
    for index, (item, batched) in enumerate(_watched(items, where)):
        place = f"{where}: {'batch' if batched else 'sample'} {index}"
        arrays = named(item, inputs, place)
        if index and set(arrays) != set(parts):
            raise DataError(f"has {sorted(arrays)}, the first one had {sorted(parts)}", where=place)
        for name, array in arrays.items():
            array = array if batched else array[np.newaxis]
            first = parts.get(name, [array])[0]
            if array.ndim == 0:
                raise DataError(
                    f"'{name}' is a single number, where a batch was expected",
                    where=place,
                    hint="yield batches, (n, ...) each; or give a Dataset, or a list of samples",
                )
            if (array.shape[1:], array.dtype) != (first.shape[1:], first.dtype):
                raise DataError(
                    f"'{name}' is {array.dtype}{list(array.shape[1:])}, the first one was "
                    f"{first.dtype}{list(first.shape[1:])}",
                    where=place,
                    hint="all samples must have one shape",
                )
            parts.setdefault(name, []).append(array)
        count += len(next(iter(arrays.values()))) if batched else 1
        tell(count)
        if count >= most:
            break
    if not parts:
        raise DataError("yields no sample", where=where)
    return {name: np.concatenate(chunks)[:most] for name, chunks in parts.items()}


def named(item: Any, inputs: Sequence[str] | None, where: str) -> dict[str, Array]:
    """Arrays by name, and the label where there is one. Raises DataError."""
    item = spread(item)
    if isinstance(item, Mapping):
        wanted = [str(key) for key in item if key not in LABELS] if inputs is None else inputs
        missing = [name for name in wanted if name not in item]
        if missing:
            raise DataError(
                f"no '{missing[0]}', an input of the model; it has {sorted(map(str, item))}",
                where=where,
            )
        given = {name: item[name] for name in wanted}
        label = next((item[name] for name in LABELS if name in item and name not in wanted), None)
    else:
        several = item if isinstance(item, tuple | list) else (item,)
        wanted = ["input"] if inputs is None else inputs
        if len(several) < len(wanted):
            raise DataError(
                f"{len(several)} parts, the model takes {len(wanted)}: {', '.join(wanted)}",
                where=where,
            )
        given = dict(zip(wanted, several, strict=False))
        if len(several) > len(wanted) + 1:
            raise DataError(
                f"{len(several)} parts, where {', '.join(wanted)} and a label were expected",
                where=where,
                hint=f"give a dict by name: {{'{wanted[0]}': ..., '{LABEL}': ...}}",
            )
        label = several[len(wanted)] if len(several) > len(wanted) else None
    arrays = {name: as_array(value, name, where) for name, value in given.items()}
    if label is not None:
        arrays[LABEL] = as_array(label, LABEL, where)
    return arrays


def spread(item: Any) -> Any:
    """A pair of several inputs (by name, or in order) and a label as one mapping or sequence."""
    if not isinstance(item, tuple | list) or len(item) != 2:
        return item
    inputs, label = item
    if isinstance(label, Mapping | tuple | list):
        return item
    if isinstance(inputs, Mapping):
        free = next(name for name in (*LABELS, "") if name not in inputs)
        return {**inputs, free: label}
    several = isinstance(inputs, tuple | list) and all(hasattr(each, "shape") for each in inputs)
    return (*inputs, label) if several else item


def as_array(value: Any, name: str, where: str) -> Array:
    """An array of numbers; a tensor's values. Raises DataError."""
    if hasattr(value, "detach"):
        held = value.detach().cpu()
        return np.asarray((held.float() if str(held.dtype) == "torch.bfloat16" else held).numpy())
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise DataError(f"'{name}' is ragged: {error}", where=where) from None
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"'{name}' is a {type(value).__name__}, not numbers",
            where=where,
            hint="make it a tensor or an array first",
        )
    return array


def check_counts(found: Mapping[str, Array], where: str) -> None:
    """Raise DataError unless all arrays hold the same number of samples, at least one."""
    counts = {name: len(array) if array.ndim else 0 for name, array in found.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise DataError(f"arrays have different numbers of samples: {counts}", where=where)


def blamed(error: Exception, where: str) -> DataError:
    """An error of the user's code, with its line."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return DataError(f"raised {type(error).__name__}: {error}{at}", where=where)


def _watched(items: Iterator[Any], where: str) -> Iterator[Any]:
    """The items; what the user's code raises is blamed on it."""
    index = 0
    while True:
        try:
            head = list(islice(items, 1))
        except DataError:
            raise
        except Exception as error:
            raise blamed(error, f"{where}: item {index}") from error
        if not head:
            return
        yield head[0]
        index += 1
