"""Reads the header of a safetensors file: names, types, shapes and byte ranges.

Format: 8 bytes little-endian length, JSON header, data
(https://huggingface.co/docs/safetensors). A device need not have the library.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO, Dict, List, Tuple

from .errors import AgentError

HEADER_MAX = 100 << 20
ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip

Entry = Tuple[str, List[int], bytearray]  # type code, shape, little-endian bytes


def read(file: BinaryIO, where: str) -> Dict[str, Entry]:
    """Every tensor of an open safetensors file. Raises AgentError naming file and tensor."""
    raw = file.read(8)
    size = int.from_bytes(raw, "little")
    if len(raw) != 8 or size > HEADER_MAX:
        raise AgentError("ModelError", "no safetensors header", where)
    try:
        header = json.loads(file.read(size).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise AgentError("ModelError", "the safetensors header is not JSON", where) from error
    data = file.read()
    tensors: Dict[str, Entry] = {}
    for name, entry in header.items():
        if name != "__metadata__":
            tensors[name] = _entry(entry, data, "{}: {}".format(where, name))
    return tensors


def _entry(entry: Any, data: bytes, where: str) -> Entry:
    try:
        code, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
        size = ITEM_BYTES[code]
        for n in shape:
            size *= n
        sound = 0 <= start <= stop <= len(data) and stop - start == size
    except (KeyError, TypeError, ValueError) as error:
        raise AgentError("ModelError", "tensor is not described as it must be", where) from error
    if not sound:
        raise AgentError("ModelError", "tensor's bytes do not fit its shape or the file", where)
    return code, list(shape), bytearray(data[start:stop])
