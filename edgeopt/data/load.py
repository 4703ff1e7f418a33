"""Load one split of an archive into the store: checked, with a hash for each sample."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.data.gather import Tell
from edgeopt.data.source import Source
from edgeopt.data.sources.folder import Folder
from edgeopt.data.sources.function import Function
from edgeopt.data.sources.kept import Kept
from edgeopt.data.sources.npz import Npz
from edgeopt.data.splits import PLAIN, parse_selection
from edgeopt.schema.errors import DataError, did_you_mean
from edgeopt.schema.job import Arrays
from edgeopt.store import Store

Array = np.ndarray[Any, Any]
NAMING = f"arrays are named SPLIT.ARRAY; plain ones are one split, {' or '.join(PLAIN)}"


def load_split(
    params: Mapping[str, Any],
    where: Mapping[str, Any],
    store: Store,
    tell: Tell = lambda _count: None,
) -> Arrays:
    """The arrays of one split role, first axis the sample, dtypes as they are in the file.

    ``params``: ``split`` (the role), ``select`` (``train[:512]``), ``inputs`` (model input ->
    array; None: every array of the split but the labels), ``labels`` (arrays).
    ``where``: ``path`` of an archive whose arrays are named ``SPLIT.ARRAY``, ``arrays`` in the
    store by such names, a ``folder`` of images, or a ``function`` below ``root``.

    Raises DataError naming file, array and, where there is one, the first bad sample, counted
    from 0 in the file's array: no such split or array, lengths that differ, nothing selected,
    NaN or infinity, labels that are no numbers. UsageError for the selection.
    """
    selection = parse_selection(params["select"])
    labels: list[str] = list(params["labels"])
    with _opened(params, where, store, tell) as source:
        slices = list(params.get("slices", ()))
        extra = [*labels, *slices]
        names = _wanted(source, selection.split, params["inputs"], extra)
        read = [*names, *(name for name in extra if name not in names)]
        chosen, rows = source.take(selection, read)
        for name in names:
            check_finite(source.path, f"{selection.split}.{name}", chosen[name], rows)
        for name in labels:
            check_finite(
                source.path, f"{selection.split}.{name}", chosen[name], rows, kind="label array"
            )
        for name in slices:
            _check_slice(source.path, f"{selection.split}.{name}", chosen[name])
    inputs = {name: chosen[name] for name in sorted(names)}
    return Arrays(
        split=params["split"],
        n=len(rows),
        arrays={name: store.put_array(array) for name, array in inputs.items()},
        labels={name: store.put_array(chosen[name]) for name in labels},
        hashes=store.put_array(sample_hashes(inputs)).blob,
        slices={name: store.put_array(_as_text(chosen[name])) for name in slices},
    )


def _opened(
    params: Mapping[str, Any], where: Mapping[str, Any], store: Store, tell: Tell
) -> AbstractContextManager[Source]:
    """The source that ``where`` names."""
    if "arrays" in where:
        return nullcontext(Kept(where["arrays"], store))
    if "folder" in where:
        return nullcontext(Folder(Path(where["folder"]), params.get("resize")))
    if "function" in where:
        inputs = None if params["inputs"] is None else list(params["inputs"].values())
        selection = parse_selection(params["select"])
        root = Path(where["root"])
        return nullcontext(Function(root, where["function"], selection, inputs, tell))
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
    source: Source, split: str, inputs: Mapping[str, str] | None, extra: Sequence[str]
) -> list[str]:
    """Names of the input arrays, each once. Raises DataError for what the file lacks."""
    known: dict[str, list[str]] = {}
    for member in source.names:
        owner, _, name = member.partition(".")
        known.setdefault(owner, []).append(name)
    if split not in known:
        near = did_you_mean(split, known)
        raise DataError(
            f"no split '{split}'; it has {', '.join(known) or 'none'}",
            where=str(source.path),
            hint=near if near.startswith("Did") else NAMING,
        )
    names = [n for n in known[split] if n not in extra] if inputs is None else list(inputs.values())
    for name in [*names, *extra]:
        if name not in known[split]:
            raise DataError(
                f"no array '{name}' in split '{split}'",
                where=str(source.path),
                hint=did_you_mean(name, known[split]),
            )
    if not names:
        raise DataError(f"split '{split}' has no array for an input", where=str(source.path))
    return list(dict.fromkeys(names))


def check_finite(path: Path, name: str, array: Array, rows: range, kind: str = "array") -> None:
    if array.dtype.kind == "U":
        raise DataError(
            f"{kind} '{name}' is text, which no model takes",
            where=str(path),
            hint="number the classes from 0"
            if kind == "label array"
            else "leave it out of data.inputs; metadata belongs under data.slices",
        )
    if array.dtype.kind != "f":
        return
    bad = ~np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    if bad.any():
        first = int(np.argmax(bad))
        value = "NaN" if np.isnan(array[first]).any() else "an infinity"
        raise DataError(
            f"{kind} '{name}' has {value} in sample {rows[first]} "
            f"({int(bad.sum()):,} such samples in all)",
            where=str(path),
        )


MOST_VALUES = 1000  # of a slice


def _check_slice(path: Path, name: str, values: Array) -> None:
    if values.ndim != 1 or values.dtype.kind not in "biuU":
        raise DataError(
            f"slice array '{name}' is {values.dtype}{list(values.shape)}; it must be one whole "
            "number or text for each sample",
            where=str(path),
        )
    count = len(np.unique(values))
    if count > MOST_VALUES:
        raise DataError(
            f"slice array '{name}' has {count:,} values; at most {MOST_VALUES:,} can be told apart",
            where=str(path),
        )


def _as_text(values: Array) -> Array:
    """A metadata column as text, fixed width, in UTF-8 bytes: an array of numbers to the store."""
    return np.char.encode(values.astype(str), "utf-8").view(np.uint8).reshape(len(values), -1)
