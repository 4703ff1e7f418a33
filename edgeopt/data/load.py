"""Load one split of an archive into the store: checked, with a hash for each sample."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgeopt.data.sources.kept import Kept
from edgeopt.data.sources.npz import Npz
from edgeopt.data.splits import Selection, parse_selection
from edgeopt.schema.errors import DataError, did_you_mean
from edgeopt.schema.job import Arrays
from edgeopt.store import Store

Array = np.ndarray[Any, Any]


def load_split(params: Mapping[str, Any], where: Mapping[str, Any], store: Store) -> Arrays:
    """The arrays of one split role, first axis the sample, dtypes as they are in the file.

    ``params``: ``split`` (the role), ``select`` (``train[:512]``), ``inputs`` (model input ->
    array; None: every array of the split but the label), ``label`` (array or None).
    ``where``: ``path`` of the archive, or ``arrays`` in the store; both are named
    ``SPLIT.ARRAY``.

    Raises DataError naming file, array and, where there is one, the first bad sample, counted
    from 0 in the file's array: no such split or array, lengths that differ, nothing selected,
    NaN or infinity, labels that are not whole numbers from 0. UsageError for the selection.
    """
    selection = parse_selection(params["select"])
    label: str | None = params["label"]
    with _opened(where, store) as source:
        names = _wanted(source, selection.split, params["inputs"], label)
        read = [*names, *([label] if label is not None else [])]
        whole = {name: source.read(f"{selection.split}.{name}") for name in read}
        rows = _rows(source.path, whole, selection)
        chosen = {name: np.ascontiguousarray(a[selection.slice]) for name, a in whole.items()}
        for name in names:
            _check_finite(source.path, f"{selection.split}.{name}", chosen[name], rows)
        if label is not None:
            _check_labels(source.path, f"{selection.split}.{label}", chosen[label], rows)
    inputs = {name: chosen[name] for name in sorted(names)}
    return Arrays(
        split=params["split"],
        n=len(rows),
        arrays={name: store.put_array(array) for name, array in inputs.items()},
        labels=None if label is None else store.put_array(chosen[label]),
        hashes=store.put_array(sample_hashes(inputs)).blob,
    )


class Source(Protocol):
    """Where arrays come from; ``path`` is what errors name."""

    path: Path

    @property
    def names(self) -> tuple[str, ...]:
        """``SPLIT.ARRAY``, each."""
        ...

    def read(self, name: str) -> Array:
        """One array. Raises DataError."""
        ...


def _opened(where: Mapping[str, Any], store: Store) -> AbstractContextManager[Source]:
    if "arrays" in where:
        return nullcontext(Kept(where["arrays"], store))
    return Npz(where["path"])


def sample_hashes(arrays: Mapping[str, Array]) -> Array:
    """The first eight bytes of each sample's SHA-256, as (n,) big-endian uint64.

    A sample's bytes are those of its arrays in C order and native byte order, one array
    after the other by name.
    """
    ordered = [arrays[name] for name in sorted(arrays)]
    digests = [
        hashlib.sha256(b"".join(part.tobytes() for part in sample)).digest()[:8]
        for sample in zip(*ordered, strict=True)
    ]
    return np.frombuffer(b"".join(digests), ">u8")


def _wanted(
    source: Source, split: str, inputs: Mapping[str, str] | None, label: str | None
) -> list[str]:
    """Names of the input arrays, each once. Raises DataError for what the file lacks."""
    known: dict[str, list[str]] = {}
    for member in source.names:
        owner, _, name = member.partition(".")
        known.setdefault(owner, []).append(name)
    if split not in known:
        raise DataError(
            f"no split '{split}': arrays are named SPLIT.ARRAY",
            where=str(source.path),
            hint=did_you_mean(split, known),
        )
    found = [n for n in known[split] if n != label] if inputs is None else list(inputs.values())
    for name in [*found, *([label] if label is not None else [])]:
        if name not in known[split]:
            raise DataError(
                f"no array '{name}' in split '{split}'",
                where=str(source.path),
                hint=did_you_mean(name, known[split]),
            )
    if not found:
        raise DataError(f"split '{split}' has no array for an input", where=str(source.path))
    return list(dict.fromkeys(found))


def _rows(path: Path, whole: Mapping[str, Array], selection: Selection) -> range:
    """Which samples of the file's arrays are selected. Raises DataError for none."""
    lengths = {f"{selection.split}.{name}": len(array) for name, array in whole.items()}
    if len(set(lengths.values())) != 1:
        told = ", ".join(f"'{name}' {n:,}" for name, n in lengths.items())
        raise DataError(f"arrays of one split differ in samples: {told}", where=str(path))
    n = next(iter(lengths.values()))
    rows = selection.indices(n)
    if not rows:
        raise DataError(
            f"'{selection}' selects no sample: split '{selection.split}' has {n:,}",
            where=str(path),
        )
    return rows


def _check_finite(path: Path, name: str, array: Array, rows: range) -> None:
    if array.dtype.kind != "f":
        return
    bad = ~np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    if bad.any():
        first = int(np.argmax(bad))
        kind = "NaN" if np.isnan(array[first]).any() else "an infinity"
        raise DataError(
            f"array '{name}' has {kind} in sample {rows[first]} "
            f"({int(bad.sum()):,} such samples in all)",
            where=str(path),
        )


def _check_labels(path: Path, name: str, labels: Array, rows: range) -> None:
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"label array '{name}' is {labels.dtype}{list(labels.shape)}; "
            "it must be one whole number for each sample",
            where=str(path),
        )
    bad = labels < 0
    if bad.any():
        first = int(np.argmax(bad))
        raise DataError(
            f"label array '{name}' has {labels[first]} in sample {rows[first]}; "
            "class labels count from 0",
            where=str(path),
        )
