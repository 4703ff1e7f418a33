"""How an array is read: as it is where it fits an input, and as images where it does not.

A reading says what the axes of an array mean and how the input takes them. Shapes decide: an array
whose samples have the input's shape is never moved, unless a layout was given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from edgeopt.data.preprocess import steps_for
from edgeopt.schema.artifact import Dim, Tensor
from edgeopt.schema.errors import DataError
from edgeopt.schema.job import ArrayRef

RAW_RANK = {"NHW": 3, "NCHW": 4, "NHWC": 4}
OTHER = {"NCHW": "NHWC", "NHWC": "NCHW"}
SAID = (
    "data.layout states the layout of images in the file (NHW, NCHW or NHWC); without it, an array "
    "is fed unchanged if it fits"
)


class Reading(NamedTuple):
    """One way to feed an array: layout of the array, of what is fed, and a sample's shape there.

    Both layouts are empty where the axes mean nothing in particular.
    """

    raw: str
    layout: str
    shape: tuple[int, ...]


def readings(shape: Sequence[int], tensor: Tensor, given: str | None) -> list[Reading]:
    """Every way in which an array of ``shape``, (n, ...), fits an input, the best first.

    As it is; then, for an input that is an image, with a channel put in or channels moved.
    ``given`` is the array's layout where it is known: nothing else is tried then.
    """
    sample, rank = tuple(shape[1:]), len(shape)
    if not given:
        candidates = [Reading(tensor.layout, tensor.layout, sample)]
        if tensor.layout and rank in (3, 4):
            candidates.append(
                _moved(shape, "NHW" if rank == 3 else OTHER[tensor.layout], tensor.layout)
            )
    elif rank != RAW_RANK[given]:
        candidates = [] if tensor.layout else [Reading("", "", sample)]
    elif len(tensor.shape) == 4:
        first = tensor.layout or "NCHW"
        candidates = [_moved(shape, given, first), _moved(shape, given, OTHER[first])]
    else:
        candidates = [Reading("", "", sample)]
    return [reading for reading in candidates if _fits(reading.shape, tensor.shape[1:])]


def reading_of(array: str, ref: ArrayRef, tensor: Tensor, given: str | None) -> Reading:
    """The reading to take. Raises DataError naming input, array and shapes where none fits."""
    candidates = readings(ref.shape, tensor, given)
    if candidates:
        return candidates[0]
    if given and len(ref.shape) != RAW_RANK[given]:
        raise DataError(
            f"array '{array}' is {list(ref.shape)}, which is not {given} (data.layout)", hint=SAID
        )
    tried = f" as {given}" if given else " as it is or as an image" if tensor.layout else ""
    raise DataError(
        f"array '{array}' does not fit input '{tensor.name}'{tried}: samples are "
        f"{list(ref.shape[1:])}, the input takes {list(tensor.shape[1:])}"
        + (f" ({tensor.layout})" if tensor.layout else ""),
        hint=SAID if max(len(ref.shape), len(tensor.shape)) > 2 else "",
    )


def doubt(array: str, ref: ArrayRef, tensor: Tensor, also: str = "") -> str:
    """What to tell of an array that is fed as it is and could be read otherwise; mostly empty.

    ``also`` is the layout in which a network without a signature was seen to run on it, too.
    """
    candidates = readings(ref.shape, tensor, None)
    others = [reading.raw for reading in candidates[1:] if candidates[0].shape == ref.shape[1:]]
    also = also or next(iter(others), "")
    if not also or (also == "NHW" and ref.dtype != "uint8"):
        return ""
    kept = f", or {OTHER[also]} to keep it unchanged" if also in OTHER else ""
    return (
        f"array '{array}' is fed to input '{tensor.name}' unchanged, {list(ref.shape[1:])}; it "
        f"would also fit as {also}. If that is its layout, set data.layout: {also}{kept}"
    )


def for_torch(ref: ArrayRef, preprocess: Any, name: str, given: str | None) -> dict[str, Any]:
    """What an array makes of input ``name`` of a network that says nothing of its inputs.

    ``{"shape": of a sample, "dtype", "layout"}``, and under ``else`` what to try where the network
    does not run on it, with ``read``, the array's layout then. Images and what is preprocessed are
    float32, as other floats are; whole numbers stay what they are where they are no images.
    """
    shape, rank, dtype = ref.shape, len(ref.shape), ref.dtype
    if given and rank == RAW_RANK[given]:
        return _said(_moved(shape, given, "NCHW"), "float32")
    as_is = Reading("", "", tuple(shape[1:]))
    if dtype.startswith("float") or steps_for(preprocess, name):
        dtypes = ["float32"]
    elif rank in (3, 4) and not given:
        dtypes = ["float32", dtype] if dtype == "uint8" else [dtype, "float32"]
    else:
        dtypes = [dtype]
    tried = [_said(as_is, each) for each in dtypes]
    if rank in (3, 4) and not given:
        raw = "NHW" if rank == 3 else "NHWC"
        tried.append(_said(_moved(shape, raw, "NCHW"), "float32") | {"read": raw})
    first, *further = tried
    return first | ({"else": further} if further else {})


def given_for(layout: str | Mapping[str, str] | None, name: str) -> str | None:
    """The layout that is said of the array for an input: one for all, or by input."""
    return (layout.get(name) or None) if isinstance(layout, Mapping) else layout


def _said(reading: Reading, dtype: str) -> dict[str, Any]:
    return {"shape": list(reading.shape), "dtype": dtype, "layout": reading.layout}


def _moved(shape: Sequence[int], raw: str, layout: str) -> Reading:
    """An image array of layout ``raw``, its sample's axes in the order of ``layout``."""
    sizes = {"C": 1, **dict(zip(raw, shape, strict=True))}
    return Reading(raw, layout, tuple(sizes[axis] for axis in layout[1:]))


def _fits(shape: Sequence[int], wanted: Sequence[Dim]) -> bool:
    return len(shape) == len(wanted) and all(
        isinstance(want, str) or want == got for want, got in zip(wanted, shape, strict=True)
    )
