"""No sample may serve two masters: overlap of splits with training and with each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.schema.errors import DataError
from edgeopt.schema.job import ArrayRef, Arrays
from edgeopt.store import Store

HELD_OUT = ("validation", "test")  # splits that a choice or a claim rests on
TRAINED_ON = "trained_on"


def check_overlap(
    splits: Mapping[str, Arrays], trained_on: np.ndarray[Any, Any] | None, store: Store
) -> dict[str, Any]:
    """Compare samples by hash; the pairs that were compared, with their counts.

    Validation and test must share no sample with what the source was trained on, with any
    other split, or with each other; calibration may lie inside train. Raises DataError that
    tells, of every pair that does, how many samples it shares and which is the first (counted
    from 0 in the selection).
    """
    hashes = {role: _hashes(arrays, store) for role, arrays in splits.items()}
    if trained_on is not None:
        _check_hashes(trained_on, TRAINED_ON)
        hashes[TRAINED_ON] = np.asarray(trained_on, np.uint64)
    pairs: list[dict[str, Any]] = []
    leaks: list[str] = []
    for held, other in _pairs(list(hashes)):
        shared = np.isin(hashes[held], hashes[other])
        pairs.append({"split": held, "against": other, "n": int(shared.sum())})
        if shared.any():
            with_what = "training" if other == TRAINED_ON else f"split '{other}'"
            leaks.append(
                f"split '{held}' shares {int(shared.sum()):,} of its {len(shared):,} samples "
                f"with {with_what}, e.g. sample {int(np.argmax(shared))}"
            )
    if leaks:
        raise DataError(
            "; ".join(leaks),
            hint="figures on samples that training or calibration has seen flatter the model: "
            "choose other samples under data.splits",
        )
    return {"pairs": pairs}


def load_hashes(path: Path | str) -> np.ndarray[Any, Any]:
    """Hashes of training samples from a ``.npy`` file of (n,) uint64, any byte order.

    Raises DataError naming the file.
    """
    try:
        hashes: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError("no such file", where=str(path)) from None
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise DataError(
            f"not a sound .npy file of sample hashes: {error}", where=str(path)
        ) from None
    if not isinstance(hashes, np.ndarray):
        raise DataError("an .npz archive, not a .npy file", where=str(path))
    _check_hashes(hashes, str(path))
    return hashes


def _check_hashes(hashes: np.ndarray[Any, Any], where: str) -> None:
    if hashes.ndim != 1 or hashes.dtype.kind != "u" or hashes.dtype.itemsize != 8:
        raise DataError(
            f"holds {hashes.dtype}{list(hashes.shape)}; sample hashes are (n,) of uint64",
            where=where,
        )


def _pairs(names: list[str]) -> list[tuple[str, str]]:
    """Each held-out split against all that is not, then the held-out against each other."""
    held = [name for name in HELD_OUT if name in names]
    others = [name for name in names if name not in HELD_OUT]
    return [(h, o) for h in held for o in others] + ([(held[1], held[0])] if held[1:] else [])


def _hashes(arrays: Arrays, store: Store) -> np.ndarray[Any, Any]:
    ref = ArrayRef(blob=arrays.hashes, dtype="uint64", shape=(arrays.n,))
    return np.asarray(store.get_array(ref), np.uint64)
