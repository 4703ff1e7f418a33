"""Which files an ONNX model is made of, found without opening it as a model."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

from edgeopt.schema.errors import ModelError

# An `external_data` entry of a TensorProto as protobuf writes it: a StringStringEntryProto
# whose first field is "location" and whose second, after its length, is the file's name.
_LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f]|[\x80-\xff][\x01-\x7f])")


def source_files(path: Path) -> dict[str, Path]:
    """The model file and the external data files that its bytes name, by name in the key.

    A plain scan of bytes, so that the parent process parses no model. It may find too much
    (a name of a file that is not there is left out); opening the model in a worker refuses
    external data that this scan did not find, so it never finds too little unnoticed.

    Raises ModelError where the model is missing, a folder or empty.
    """
    if not path.is_file():
        raise ModelError(
            "the model is not a file" if path.exists() else "no such model file", where=str(path)
        )
    if path.stat().st_size == 0:
        raise ModelError("the model file is empty", where=str(path))
    files = {"model": path}
    for location in sorted(locations(path)):
        beside = path.parent / location
        inside = not Path(location).is_absolute() and ".." not in Path(location).parts
        if inside and beside.is_file():
            files[f"data/{location}"] = beside
    return files


def locations(path: Path) -> set[str]:
    """The external data locations that stand in the file's bytes."""
    external: set[str] = set()
    if not path.stat().st_size:  # an empty file cannot be mapped
        return external
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for match in _LOCATION.finditer(data):
            size = match[1]
            length = size[0] if len(size) == 1 else (size[0] & 0x7F) | (size[1] << 7)
            text = data[match.end() : match.end() + length]
            try:
                location = text.decode()
            except UnicodeDecodeError:
                continue
            if location.isprintable():
                external.add(location)
    return external
