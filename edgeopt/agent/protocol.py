"""Frames between host and agent: a JSON header and the bytes of its arrays.

A frame is ``MAGIC``, the header's length (uint32), the payload's length (uint64), both
big-endian, the header (UTF-8 JSON object) and the payload. Where arrays go along, the
header's ``arrays`` lists ``{"name", "dtype", "shape"}`` in the order of their bytes
(little-endian, C order) in the payload. Both lengths are capped before anything is read,
and the shapes must account for every byte.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Callable, Dict, List, Mapping, NoReturn, Optional, Tuple

import numpy as np

VERSION = 3
MAGIC = b"EOA1"
PREFIX = struct.Struct(">4sIQ")
HEADER_MAX = 1 << 20
PAYLOAD_MAX = 1 << 28
ARRAYS_MAX = 1024
RANK_MAX = 16
DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64",
)  # fmt: skip

Arrays = Dict[str, np.ndarray]
Read = Callable[[int], bytes]  # exactly that many bytes, or EOFError


class ProtocolError(Exception):
    """A frame that no sound peer sends."""


def pack(header: Mapping[str, Any], arrays: Optional[Mapping[str, np.ndarray]] = None) -> bytes:
    """One frame. Raises ProtocolError where it would break the caps or holds no JSON."""
    if "arrays" in header:
        raise ProtocolError("'arrays' is the frame's own field")
    described: List[Dict[str, Any]] = []
    chunks: List[bytes] = []
    for name, array in (arrays or {}).items():
        if array.dtype.name not in DTYPES:
            raise ProtocolError("array '{}' has dtype {}".format(name, array.dtype))
        chunks.append(np.asarray(array, array.dtype.newbyteorder("<")).tobytes())
        described.append(
            {"name": name, "dtype": array.dtype.name, "shape": [int(n) for n in array.shape]}
        )
    size = sum(len(chunk) for chunk in chunks)
    try:
        text = json.dumps({**header, "arrays": described}, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ProtocolError("header is not JSON: {}".format(error)) from error
    if len(text) > HEADER_MAX or size > PAYLOAD_MAX:
        raise ProtocolError(
            "a frame of {} + {} bytes is over the cap of {} + {}".format(
                len(text), size, HEADER_MAX, PAYLOAD_MAX
            )
        )
    return b"".join([PREFIX.pack(MAGIC, len(text), size), text, *chunks])


def unpack(read: Read) -> Tuple[Dict[str, Any], Arrays]:
    """The next frame. Raises ProtocolError on an unsound one, EOFError at the stream's end."""
    magic, header_size, payload_size = PREFIX.unpack(read(PREFIX.size))
    if magic != MAGIC:
        raise ProtocolError("frame starts with {!r}".format(bytes(magic)))
    if header_size > HEADER_MAX or payload_size > PAYLOAD_MAX:
        raise ProtocolError("frame claims {} + {} bytes".format(header_size, payload_size))
    try:
        header = json.loads(read(header_size).decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("header is not JSON: {}".format(error)) from error
    if not isinstance(header, dict):
        raise ProtocolError("header is not a JSON object")
    shapes = _shapes(header.pop("arrays", []))
    if sum(size for _, _, _, size in shapes) != payload_size:
        raise ProtocolError("arrays do not account for {} payload bytes".format(payload_size))
    payload = read(payload_size)
    arrays: Arrays = {}
    start = 0
    for name, dtype, shape, size in shapes:
        flat = np.frombuffer(payload, dtype, count=size // dtype.itemsize, offset=start)
        arrays[name] = flat.reshape(shape)
        start += size
    return header, arrays


def _shapes(described: Any) -> List[Tuple[str, np.dtype, Tuple[int, ...], int]]:
    """(name, dtype, shape, bytes) of each array, every field checked."""
    if not isinstance(described, list) or len(described) > ARRAYS_MAX:
        raise ProtocolError("'arrays' is not a list, or is too long")
    specs: List[Tuple[str, np.dtype, Tuple[int, ...], int]] = []
    names = set()
    for entry in described:
        if not isinstance(entry, dict) or set(entry) != {"name", "dtype", "shape"}:
            raise ProtocolError("an array is described by {!r}".format(entry)[:200])
        name, dtype_name, shape = entry["name"], entry["dtype"], entry["shape"]
        if not isinstance(name, str) or name in names:
            raise ProtocolError("array name {!r} is not a name or appears twice".format(name)[:200])
        if not isinstance(dtype_name, str) or dtype_name not in DTYPES:
            raise ProtocolError("array '{}' has dtype {!r}".format(name, dtype_name)[:200])
        if not isinstance(shape, list) or len(shape) > RANK_MAX:
            raise ProtocolError("array '{}' has no shape".format(name)[:200])
        if not all(type(n) is int and 0 <= n <= PAYLOAD_MAX for n in shape):
            raise ProtocolError("array '{}' has shape {!r}".format(name, shape)[:200])
        dtype = np.dtype(dtype_name).newbyteorder("<")
        size = dtype.itemsize
        for n in shape:
            size *= n
        names.add(name)
        specs.append((name, dtype, tuple(shape), size))
    return specs


def _no_constant(text: str) -> NoReturn:
    raise ValueError("{} is not JSON".format(text))
