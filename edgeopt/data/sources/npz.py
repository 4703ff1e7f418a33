"""Arrays out of ``.npz`` archives: nothing is unpickled and no claim of the file is believed.

An archive is a zip of ``NAME.npy`` members. Before a byte is decompressed, a member's
claimed size is held against the memory that is free; before an array is made, the shape
that its header claims is held against the member's size.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil

from edgeopt.data.source import cut
from edgeopt.data.splits import Selection, by_split
from edgeopt.schema.errors import DataError, did_you_mean

NUMBERS = "biuf"  # dtype kinds: bool, integers, real floats
TEXT = "U"  # of fixed width: for slices
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    tokenize.TokenError,
    EOFError,
    OSError,
    SyntaxError,
    ValueError,
)


class Npz:
    """An open archive; use it as a context manager.

    ``limit_bytes`` caps the uncompressed size of a member; half of the free memory by
    default. Raises DataError for a file that is missing or no archive.
    """

    def __init__(self, path: Path | str, limit_bytes: int | None = None) -> None:
        self.path = Path(path)
        self.limit_bytes = _half_of_free_memory() if limit_bytes is None else limit_bytes
        try:
            self._zip = zipfile.ZipFile(self.path)
        except FileNotFoundError:
            raise DataError("no such file", where=str(self.path)) from None
        except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
            raise DataError(
                f"not a sound .npz archive: {error}",
                where=str(self.path),
                hint="it may be truncated, or in another format; write it with numpy.savez",
            ) from None
        except OSError as error:
            raise DataError(f"cannot read: {error.strerror}", where=str(self.path)) from None

    def __enter__(self) -> Npz:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the file."""
        return _arrays_in(self._zip)

    @property
    def names(self) -> tuple[str, ...]:
        """The arrays as ``SPLIT.ARRAY``; plain ones under each name of their one split."""
        splits = by_split(self.members)
        return tuple(f"{split}.{array}" for split, arrays in splits.items() for array in arrays)

    def read(self, name: str, *, single: bool = False) -> np.ndarray[Any, Any]:
        """One array by its name in the file, in native byte order and C order.

        ``single``: it may be a single number, which no sample is. Raises DataError naming file and
        member: no such member, damaged, not of numbers, or larger than the limit.
        """
        if name not in self.members:
            raise DataError(
                f"no array '{name}'", where=str(self.path), hint=did_you_mean(name, self.members)
            )
        member = self._zip.getinfo(f"{name}.npy")
        if member.file_size > self.limit_bytes:
            raise DataError(
                f"array '{name}' claims {member.file_size:,} bytes uncompressed; "
                f"at most {self.limit_bytes:,} fit into memory",
                where=str(self.path),
                hint="free some memory, or store fewer samples",
            )
        with self._blamed(name), self._zip.open(member) as stream:
            array = self._array(name, stream, member.file_size, single)
            if stream.read(1):  # also makes zipfile compare the checksum
                raise ValueError("bytes are left over after the array")
        return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")

    def take(
        self, selection: Selection, arrays: Sequence[str]
    ) -> tuple[dict[str, np.ndarray[Any, Any]], range]:
        """The selected samples. Raises DataError."""
        members = by_split(self.members)[selection.split]
        whole = {name: self.read(members[name]) for name in arrays}
        return cut(self.path, whole, selection)

    def length(self, name: str) -> int:
        """How many samples an array's header claims; nothing else is read. Raises DataError."""
        with self._blamed(name), self._zip.open(f"{name}.npy") as stream:
            shape, _, _ = self._header(stream)
        return int(shape[0]) if shape else 0

    def kind(self, name: str) -> str:
        """The kind of number that an array's header claims, as numpy's ``dtype.kind``. Raises
        DataError."""
        with self._blamed(name), self._zip.open(f"{name}.npy") as stream:
            _, _, dtype = self._header(stream)
        return str(dtype.kind)

    def _header(self, stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        """Shape, whether in Fortran order, and dtype, as claimed."""
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"unknown .npy version {version}")
        found: tuple[tuple[int, ...], bool, np.dtype[Any]] = _HEADERS[version](stream)
        return found

    def _array(
        self, name: str, stream: IO[bytes], member_bytes: int, single: bool
    ) -> np.ndarray[Any, Any]:
        shape, fortran, dtype = self._header(stream)
        if dtype.kind not in NUMBERS + TEXT:
            raise DataError(
                f"array '{name}' has dtype {dtype}, which is not numeric", where=str(self.path)
            )
        if len(shape) == 0 and not single:
            raise DataError(
                f"array '{name}' is a single number; its first axis must be the sample",
                where=str(self.path),
            )
        count = 1
        for dim in shape:
            count *= dim
        if min(shape, default=0) < 0 or count * dtype.itemsize != member_bytes - stream.tell():
            raise ValueError(f"shape {list(shape)} and size of the member do not agree")
        flat = np.empty(count, dtype)
        view = flat.view(np.uint8)
        done = 0
        while done < view.size:
            chunk = stream.read(min(1 << 22, view.size - done))
            if not chunk:
                raise EOFError("it ends early")
            view[done : done + len(chunk)] = np.frombuffer(chunk, np.uint8)
            done += len(chunk)
        return flat.reshape(shape, order="F" if fortran else "C")

    @contextmanager
    def _blamed(self, name: str) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as error:
            raise DataError(
                f"array '{name}' is truncated or damaged: {error}", where=str(self.path)
            ) from None
        except (NotImplementedError, RuntimeError) as error:  # compression or encryption
            raise DataError(
                f"array '{name}' cannot be read: {error}", where=str(self.path)
            ) from None


def _half_of_free_memory() -> int:
    return int(psutil.virtual_memory().available) // 2


def _arrays_in(archive: zipfile.ZipFile) -> tuple[str, ...]:
    members = [name for name in archive.namelist() if name.endswith(".npy")]
    return tuple(dict.fromkeys(name.removesuffix(".npy") for name in members))


def members_digest(path: Path, split: str) -> str:
    """SHA-256 over the compressed members of a split, ``SPLIT.ARRAY``, or all plain ones, by name.

    What a split's job depends on: another split's change leaves it as it is. A file that is
    no archive is digested whole, for the job to complain about. Raises OSError.
    """
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                held = by_split(_arrays_in(archive)).get(split, {}).values()
                infos = [i for i in archive.infolist() if i.filename.removesuffix(".npy") in held]
            for info in sorted(infos, key=lambda i: i.filename):
                stream.seek(info.header_offset + 26)
                name_size, extra_size = struct.unpack("<HH", stream.read(4))
                stream.seek(name_size + extra_size, os.SEEK_CUR)
                digest.update(f"{info.filename}:{info.compress_type}:{info.CRC}".encode())
                digest.update(stream.read(info.compress_size))
        except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError):
            stream.seek(0)
            return hashlib.file_digest(stream, "sha256").hexdigest()
    return digest.hexdigest()
