"""Samples out of loaders, datasets, arrays and callables, read once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.data.gather import LABEL, Array, Tell, blamed, check_counts, joined, named, spread
from edgeopt.data.sources.npz import Npz
from edgeopt.data.splits import by_split, is_plain
from edgeopt.live import known
from edgeopt.schema.errors import DataError

__all__ = ["FORMS", "LABEL", "MOST_SAMPLES", "read"]

SPLITS = ("calibration", "validation", "test")
MOST_SAMPLES = 8192  # read of one loader
CALIBRATION = 512
FORMS = (
    "a DataLoader, a Dataset (of torch or tf.data), arrays (one, a tuple, a dict by input, or a "
    "pair of these and labels), an .npz file, a callable "
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
        data = _archive(Path(data))
    if isinstance(data, Mapping) and data and set(data) <= set(SPLITS):
        if "validation" not in data:
            raise DataError("no validation split: candidates are chosen on it", where="data")
        return {
            split: _gathered(_called(each), inputs, split, tell) for split, each in data.items()
        }
    if isinstance(data, Mapping) and "validation" in data and "validation" not in inputs:
        unknown = next(name for name in data if name not in SPLITS)
        raise DataError(f"'{unknown}' is not a split that is read here", where="data", hint=FORMS)
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
    plain = isinstance(data, (Mapping, Sequence, *_whole(), *_loaders()))
    if plain or hasattr(data, "__getitem__") or hasattr(data, "__iter__") or not callable(data):
        return data
    try:
        return data()
    except Exception as error:
        raise blamed(error, "the callable") from error


def _archive(path: Path) -> dict[str, Any]:
    """Arrays by split, or plain ones by name. Raises DataError."""
    with Npz(path) as archive:
        if is_plain(archive.members):
            return {name: archive.read(name) for name in archive.members}
        splits = {
            split: {array: archive.read(name) for array, name in arrays.items()}
            for split, arrays in by_split(archive.members).items()
            if split in SPLITS
        }
    if "validation" not in splits:
        raise DataError(
            "no array is named validation.ARRAY: candidates are chosen on it", where=str(path)
        )
    return splits


def _gathered(data: Any, inputs: Sequence[str], where: str, tell: Tell) -> dict[str, Array]:
    """The arrays of one source, first axis the sample. Raises DataError."""
    if isinstance(data, _whole()):
        data = (data,)
    data = spread(data)
    if isinstance(data, Mapping) or (isinstance(data, tuple | list) and _arrays(data)):
        arrays = named(data, inputs, where)
    else:
        arrays = joined(_batches(data, where), inputs, where, tell, MOST_SAMPLES)
    check_counts(arrays, where)
    return arrays


def _arrays(data: Sequence[Any]) -> bool:
    """Whether a sequence holds whole arrays, rather than samples."""
    whole = _whole()
    return len(data) > 0 and all(isinstance(each, whole) for each in data)


def _whole() -> tuple[Any, ...]:
    """What an array may be."""
    return (np.ndarray, *known("torch", "Tensor"), *known("tensorflow", "Tensor", "Variable"))


def _loaders() -> tuple[Any, ...]:
    return known("torch", "utils.data.DataLoader")


def _batches(data: Any, where: str) -> Iterator[tuple[Any, bool]]:
    """(item, whether it is a batch) of a loader, a dataset or any other iterable."""
    if isinstance(data, _loaders()):
        batched = data.batch_sampler is not None
        yield from ((item, batched) for item in _loader(data))
    elif isinstance(data, known("tensorflow", "data.Dataset")):
        batched = _is_batched(data)
        yield from ((item, batched) for item in data)
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        yield from ((data[index], False) for index in range(len(data)))
    elif isinstance(data, known("torch", "utils.data.IterableDataset")):
        yield from ((item, False) for item in data)
    elif isinstance(data, Iterable):
        yield from ((item, True) for item in data)
    else:
        raise DataError(f"cannot read samples of a {type(data).__name__}", where=where, hint=FORMS)


def _is_batched(dataset: Any) -> bool:
    """Whether a ``tf.data.Dataset`` gives batches: its shapes start with a free size, or its last
    step was ``batch``."""
    spec = dataset.element_spec
    while isinstance(spec, Mapping | tuple | list) and len(spec):
        spec = next(iter(spec.values())) if isinstance(spec, Mapping) else spec[0]
    shape = getattr(spec, "shape", None)
    free = shape is not None and shape.rank is not None and shape.rank > 0 and shape[0] is None
    return bool(free) or "Batch" in type(dataset).__name__


def _loader(loader: Any) -> Any:
    """The loader, or a twin of one that keeps its workers: the caller may be in mid-epoch."""
    if not getattr(loader, "persistent_workers", False):
        return loader
    twin = loader.__class__.__new__(loader.__class__)
    twin.__dict__.update(loader.__dict__, persistent_workers=False, _iterator=None)
    return twin
