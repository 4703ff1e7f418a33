"""Samples out of loaders, datasets, arrays and callables, read once."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from edgeopt.data.sources.npz import Npz
from edgeopt.schema.errors import DataError

Array = np.ndarray[Any, Any]
Tell = Callable[[int], None]
SPLITS = ("calibration", "validation", "test")
LABELS = ("label", "labels", "target", "targets", "y")
LABEL = "label"
MOST_SAMPLES = 8192  # read of one loader
CALIBRATION = 512
FORMS = (
    "a DataLoader, a Dataset, arrays (one, a tuple, or a dict by input), an .npz file, a callable "
    "that gives one of these, or a dict of them by split (calibration, validation, test)"
)


def read(data: Any, inputs: Sequence[str], tell: Tell) -> dict[str, dict[str, Array]]:
    """``{split: {array: (n, ...)}}``; labels are the array ``label``.

    ``inputs`` are the names of the model's inputs, in order: what a sample is made of besides
    its label. One source without splits is cut in two: its first quarter, at most 512, for
    calibration, the rest for validation. Raises DataError, naming batch and input.
    """
    data = _called(data)
    if isinstance(data, str | Path):
        return _archive(Path(data))
    if isinstance(data, Mapping) and data and set(data) <= set(SPLITS):
        if "validation" not in data:
            raise DataError("no validation split: candidates are chosen on it", where="data")
        return {
            split: _gathered(_called(each), inputs, split, tell) for split, each in data.items()
        }
    whole = _gathered(data, inputs, "data", tell)
    n = len(next(iter(whole.values())))
    cut = min(CALIBRATION, n // 4)
    if n - cut < 1 or cut < 1:
        raise DataError(f"{n} samples are too few to calibrate and to validate", where="data")
    return {
        "calibration": {name: array[:cut] for name, array in whole.items()},
        "validation": {name: array[cut:] for name, array in whole.items()},
    }


def _called(data: Any) -> Any:
    """What a callable gives; anything else as it is."""
    known = isinstance(data, DataLoader | Mapping | Sequence | torch.Tensor | np.ndarray)
    if known or hasattr(data, "__getitem__") or hasattr(data, "__iter__") or not callable(data):
        return data
    try:
        return data()
    except Exception as error:
        raise _blamed(error, "the callable") from error


def _archive(path: Path) -> dict[str, dict[str, Array]]:
    found: dict[str, dict[str, Array]] = {}
    with Npz(path) as archive:
        for name in archive.names:
            split, dot, array = name.partition(".")
            if dot and split in SPLITS:
                found.setdefault(split, {})[array] = archive.read(name)
    if "validation" not in found:
        raise DataError(
            "no array is named validation.ARRAY: candidates are chosen on it", where=str(path)
        )
    return found


def _gathered(data: Any, inputs: Sequence[str], where: str, tell: Tell) -> dict[str, Array]:
    """The arrays of one source, first axis the sample. Raises DataError."""
    if isinstance(data, torch.Tensor | np.ndarray):
        data = (data,)
    if isinstance(data, Mapping) or (isinstance(data, tuple | list) and _arrays(data)):
        found = _named(data, inputs, where)
    else:
        found = _joined(_batches(data, where), inputs, where, tell)
    counts = {name: len(array) if array.ndim else 0 for name, array in found.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise DataError(f"arrays differ in their count of samples: {counts}", where=where)
    return found


def _arrays(data: Sequence[Any]) -> bool:
    """Whether a sequence holds whole arrays, rather than samples."""
    return len(data) > 0 and all(isinstance(each, torch.Tensor | np.ndarray) for each in data)


def _batches(data: Any, where: str) -> Iterator[tuple[Any, bool]]:
    """(item, whether it is a batch) of a loader, a dataset or any other iterable."""
    if isinstance(data, DataLoader):
        batched = data.batch_sampler is not None
        yield from ((item, batched) for item in _loader(data))
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        yield from ((data[index], False) for index in range(len(data)))
    elif isinstance(data, IterableDataset):
        yield from ((item, False) for item in data)
    elif isinstance(data, Iterable):
        yield from ((item, True) for item in data)
    else:
        raise DataError(f"cannot read samples of a {type(data).__name__}", where=where, hint=FORMS)


def _loader(loader: Any) -> Any:
    """The loader, or a twin of one that keeps its workers: the caller may be in mid-epoch."""
    if not getattr(loader, "persistent_workers", False):
        return loader
    twin = loader.__class__.__new__(loader.__class__)
    twin.__dict__.update(loader.__dict__, persistent_workers=False, _iterator=None)
    return twin


def _joined(
    items: Iterator[tuple[Any, bool]], inputs: Sequence[str], where: str, tell: Tell
) -> dict[str, Array]:
    parts: dict[str, list[Array]] = {}
    count = 0
    for index, (item, batched) in enumerate(_watched(items, where)):
        place = f"{where}: {'batch' if batched else 'sample'} {index}"
        named = _named(item, inputs, place)
        if index and set(named) != set(parts):
            raise DataError(f"has {sorted(named)}, the first one had {sorted(parts)}", where=place)
        for name, array in named.items():
            array = array if batched else array[np.newaxis]
            first = parts.get(name, [array])[0]
            if array.ndim == 0 or (array.shape[1:], array.dtype) != (first.shape[1:], first.dtype):
                raise DataError(
                    f"'{name}' is {array.dtype}{list(array.shape[1:])}, the first one was "
                    f"{first.dtype}{list(first.shape[1:])}",
                    where=place,
                    hint="all samples must have one shape",
                )
            parts.setdefault(name, []).append(array)
        count += len(next(iter(named.values()))) if batched else 1
        tell(count)
        if count >= MOST_SAMPLES:
            break
    if not parts:
        raise DataError("yields no sample", where=where)
    return {name: np.concatenate(found)[:MOST_SAMPLES] for name, found in parts.items()}


def _watched(items: Iterator[Any], where: str) -> Iterator[Any]:
    """The items; what the caller's code raises is blamed on it."""
    for index in range(MOST_SAMPLES + 1):
        try:
            found = list(islice(items, 1))
        except DataError:
            raise
        except Exception as error:
            raise _blamed(error, f"{where}: item {index}") from error
        if not found:
            return
        yield found[0]


def _named(item: Any, inputs: Sequence[str], where: str) -> dict[str, Array]:
    """Arrays by input, and the label where there is one. Raises DataError."""
    if isinstance(item, Mapping):
        missing = [name for name in inputs if name not in item]
        if missing:
            raise DataError(
                f"no '{missing[0]}', an input of the model; it has {sorted(map(str, item))}",
                where=where,
            )
        given = {name: item[name] for name in inputs}
        label = next((item[name] for name in LABELS if name in item and name not in inputs), None)
    else:
        several = item if isinstance(item, tuple | list) else (item,)
        if len(several) < len(inputs):
            raise DataError(
                f"{len(several)} parts, the model takes {len(inputs)}: {', '.join(inputs)}",
                where=where,
            )
        given = dict(zip(inputs, several, strict=False))
        label = several[len(inputs)] if len(several) > len(inputs) else None
    found = {name: _array(value, name, where) for name, value in given.items()}
    if label is not None:
        found[LABEL] = _array(label, LABEL, where)
    return found


def _array(value: Any, name: str, where: str) -> Array:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise DataError(f"'{name}' is ragged: {error}", where=where) from None
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"'{name}' is a {type(value).__name__}, no numbers",
            where=where,
            hint="transform it to a tensor or an array in the dataset",
        )
    return array


def _blamed(error: Exception, where: str) -> DataError:
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return DataError(f"raised {type(error).__name__}: {error}{at}", where=where)
