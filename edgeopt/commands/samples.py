"""Samples for model files that come without a recipe: arrays of an archive, or random ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.commands.sizes import sized
from edgeopt.data.load import check_finite
from edgeopt.data.sources.npz import Npz
from edgeopt.data.splits import by_split
from edgeopt.recipe.bare import LABELS
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import DataError, UsageError
from edgeopt.schema.job import ArrayRef, Arrays
from edgeopt.store import Store

RANDOM_SAMPLES = 16
PREFERRED = ("validation", "test")


def samples_for(
    d: Description,
    data: Path | None,
    store: Store,
    split: str | None = None,
    labels: Sequence[str] = (),
    sizes: Mapping[str, int] | None = None,
) -> Arrays:
    """Samples for a model's inputs, (n, ...) each, put into the store.

    ``data`` is an archive of plain arrays, or of arrays named SPLIT.ARRAY, of which ``split`` is
    read: where None, ``validation``, else ``test``, else the only one. Each input takes the array
    of its name; a single input also the only array that is no label. An input that is a single
    number takes an array that is one, the same for all samples. Without ``data``, random
    samples: normal, or zeros and ones for integers, and one for a single number. Raises
    DataError, naming file and array, and UsageError where random samples would have free sizes.
    ``sizes`` gives those of free dimensions, by their names or as INPUT:AXIS; None: the caller
    has no way to ask for them.
    """
    if data is None:
        return _random(d, store, sizes)
    if sizes:
        raise UsageError(
            "sizes are for random samples; real ones have their own",
            where="--shape",
            hint="leave out --shape or --data",
        )
    names = [tensor.name for tensor in d.signature.inputs]
    single = {tensor.name for tensor in d.signature.inputs if not tensor.shape}
    with Npz(data) as archive:
        members = _members(archive, names, split)
        arrays = {}
        for name, member in _by_input(members, names, labels, data).items():
            arrays[name] = archive.read(member, single=name in single)
            rows = np.atleast_1d(arrays[name])
            check_finite(data, member, rows, range(len(rows)))
        labelled = {name: _labels(archive, members, name) for name in labels}
    constants = {name for name in single if arrays[name].ndim == 0}
    counts = {name: len(array) for name, array in arrays.items() if name not in constants}
    counts |= {name: len(array) for name, array in labelled.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise DataError(f"arrays have different numbers of samples: {counts}", where=str(data))
    return Arrays(
        split="benchmark",
        n=next(iter(counts.values())),
        arrays={name: store.put_array(array) for name, array in arrays.items()},
        labels={name: store.put_array(array) for name, array in labelled.items()},
        axes=dict.fromkeys(constants),
    )


def _members(archive: Npz, names: Sequence[str], split: str | None) -> Mapping[str, str]:
    """Array -> name in the file, of the split that is meant. Raises DataError."""
    splits = by_split(archive.members)
    if split is None and set(names) <= set(archive.members):
        return {name: name for name in archive.members}
    chosen = split or next((each for each in PREFERRED if each in splits), None)
    if chosen is None and len(splits) == 1:
        chosen = next(iter(splits))
    if chosen in splits:
        return splits[str(chosen)]
    available = f"; it has {', '.join(splits) or 'none'}"
    if chosen is not None:
        raise DataError(f"no split '{chosen}'{available}", where=str(archive.path))
    raise DataError(
        f"which split is meant? none is called {' or '.join(PREFERRED)}{available}",
        where=str(archive.path),
        hint="name its arrays validation.ARRAY, or just ARRAY",
    )


def _by_input(
    members: Mapping[str, str], names: Sequence[str], labels: Sequence[str], path: Path
) -> dict[str, str]:
    """Model input -> name in the file. Raises DataError, listing what is there."""
    free = [name for name in members if name not in (*labels, *LABELS)]
    if len(names) == len(free) == 1 and names[0] not in members:
        return {names[0]: members[free[0]]}
    for name in names:
        if name not in members:
            raise DataError(
                f"no array for the input '{name}'; it has {', '.join(members.values())}",
                where=str(path),
                hint=f"name it {name}, or validation.{name}",
            )
    return {name: members[name] for name in names}


def _labels(archive: Npz, members: Mapping[str, str], label: str) -> Any:
    """The array of labels. Raises DataError, listing what is there."""
    if label not in members:
        raise DataError(
            f"no array '{label}' for labels; it has {', '.join(members.values())}",
            where=str(archive.path),
        )
    labels = archive.read(members[label])
    check_finite(archive.path, members[label], labels, range(len(labels)), kind="label array")
    return labels


def _random(d: Description, store: Store, sizes: Mapping[str, int] | None) -> Arrays:
    rng = np.random.default_rng(0)
    refs: dict[str, ArrayRef] = {}
    shapes = sized(d, sizes)
    for tensor in d.signature.inputs:
        dtype = np.dtype("float32" if tensor.name in d.codes else tensor.dtype)
        shape = (RANDOM_SAMPLES, *shapes[tensor.name])
        values = rng.standard_normal(shape) if dtype.kind == "f" else rng.integers(0, 2, shape)
        drawn = values if tensor.shape else np.ones(())
        refs[tensor.name] = store.put_array(drawn.astype(dtype))
    axes = dict.fromkeys(tensor.name for tensor in d.signature.inputs if not tensor.shape)
    return Arrays(split="benchmark", n=RANDOM_SAMPLES, arrays=refs, axes=axes)
