"""What an ONNX file calls the free sizes of its inputs, read without a library for ONNX.

Only the graph's inputs are looked into; weights are passed over by their lengths.
"""

from __future__ import annotations

import mmap
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # kinds of fields in protobuf
GRAPH, INPUT = 7, 11  # of a model, of a graph
NAME, TYPE, TENSOR, SHAPE, DIM, DIM_NAME = 1, 2, 1, 2, 1, 2


def free_sizes(path: str, wanted: Mapping[str, Sequence[Optional[int]]]) -> Dict[str, int]:
    """Name of a free size in the file -> what ``wanted`` (sizes by input, None: any) makes of it.

    A name that stands for two sizes there is left out, and so is all of a file that is no model:
    who loads it next says what is wrong.
    """
    try:
        named = dict(_inputs(path))
    except (OSError, ValueError, IndexError):
        return {}
    found: Dict[str, Set[Optional[int]]] = {}
    for name, sizes in wanted.items():
        for called, size in zip(named.get(name, ()), sizes):  # noqa: B905 - Python 3.8
            if called:
                found.setdefault(called, set()).add(size)
    return {
        called: size
        for called, sizes in found.items()
        for size in sizes
        if len(sizes) == 1 and size is not None
    }


def _inputs(path: str) -> Iterator[Tuple[str, List[str]]]:
    """Each input and what its sizes are called: empty for a number or no name."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        for graph in _fields(held, 0, len(held), GRAPH):
            for one in _fields(held, *graph, INPUT):
                (name,) = _fields(held, *one, NAME)
                yield (
                    _text(held, name),
                    [
                        "".join(_text(held, called) for called in _fields(held, *dim, DIM_NAME))
                        for kind in _fields(held, *one, TYPE)
                        for tensor in _fields(held, *kind, TENSOR)
                        for shape in _fields(held, *tensor, SHAPE)
                        for dim in _fields(held, *shape, DIM)
                    ],
                )


def _text(held: Any, span: Tuple[int, int]) -> str:
    return bytes(held[slice(*span)]).decode("utf-8")


def _fields(held: Any, start: int, stop: int, wanted: int) -> Iterator[Tuple[int, int]]:
    """Start and end of each field of that number with bytes. Raises ValueError, IndexError."""
    at = start
    while at < stop:
        key, at = _varint(held, at)
        kind, length = key & 7, 0
        if kind == VARINT:
            _, at = _varint(held, at)
        elif kind == BYTES:
            length, at = _varint(held, at)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise ValueError("no field of kind {}".format(kind))
        if at + length > stop:
            raise ValueError("a field is cut short")
        if kind == BYTES and key >> 3 == wanted:
            yield at, at + length
        at += length


def _varint(held: Any, at: int) -> Tuple[int, int]:
    """A number, and where the next field begins."""
    value, shift = 0, 0
    while True:
        byte = held[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number has no end")
