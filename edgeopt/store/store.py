"""The store: blobs by digest, outcomes by key, and rough folders that never outlive a run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Self

import platformdirs

from edgeopt.schema.artifact import Artifact
from edgeopt.schema.base import canonical
from edgeopt.schema.errors import StoreError
from edgeopt.schema.job import ArrayRef, Outcome
from edgeopt.store import upkeep
from edgeopt.store.blobs import Blobs
from edgeopt.store.claims import Claim, claim, drop_claims, holder
from edgeopt.store.disk import writing
from edgeopt.store.outcomes import Outcomes
from edgeopt.store.session import Session, sweep

if TYPE_CHECKING:
    import numpy as np

PLAIN_KINDS = "biufcSU"  # numpy dtype kinds that .npy files keep without pickle


class Store:
    """A content store and outcome cache below one folder.

    Any number of processes and threads may use one folder at once. Writes are atomic and
    durable; reads are verified. Every method raises StoreError, naming the folder, when the
    disk is full, read-only or corrupt. Opening a store makes its folders and sweeps what
    dead processes left behind.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()
        with writing(self.root):
            self._session = Session(self.root)
        self._closed = weakref.finalize(self, self._session.close)
        self._blobs = Blobs(self.root, self._session.folder)
        self._outcomes = Outcomes(self.root, self._blobs)
        self.sweep()

    @classmethod
    def default(cls) -> Self:
        """The store at ``$EDGEOPT_STORE``, or ``edgeopt`` in the user's cache folder."""
        if named := os.environ.get("EDGEOPT_STORE"):
            return cls(Path(named).expanduser())
        return cls(platformdirs.user_cache_path("edgeopt"))

    def close(self) -> None:
        """Let go of the locks and remove this Store's rough work. Idempotent."""
        self._closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Blobs

    def put_bytes(self, data: bytes) -> str:
        """Store bytes; returns their SHA-256."""
        return self._blobs.put(lambda file: file.write(data))

    def put_file(self, path: Path | str) -> str:
        """Store a copy of a file; returns its SHA-256. Raises StoreError if unreadable."""
        try:
            source = open(path, "rb")  # noqa: SIM115 - closed below; only opening is translated
        except OSError as error:
            raise StoreError(f"cannot read: {error.strerror}", where=str(path)) from error
        with source:
            return self._blobs.put(lambda file: shutil.copyfileobj(source, file, 1 << 20))

    def put_json(self, value: Any) -> str:
        """Store a JSON value in canonical form. Raises ValueError for NaN or infinity."""
        return self.put_bytes(canonical(value))

    def get_bytes(self, digest: str) -> bytes:
        """The content of a blob. Raises StoreError if it is missing or corrupt."""
        return self.path(digest).read_bytes()

    def path(self, digest: str) -> Path:
        """The read-only file of a blob, verified. Raises StoreError as ``get_bytes`` does."""
        return self._blobs.path(digest)

    # Arrays

    def put_array(self, array: np.ndarray) -> ArrayRef:
        """Store an array of any shape as ``.npy`` in C order, chunk by chunk.

        Raises StoreError for dtypes that only pickle can keep.
        """
        import numpy as np  # the engine does without

        if array.dtype.kind not in PLAIN_KINDS:
            raise StoreError(f"arrays of dtype {array.dtype} cannot be stored")
        plain = np.asarray(array, order="C")
        blob = self._blobs.put(lambda file: np.save(file, plain, allow_pickle=False))
        return ArrayRef(blob=blob, dtype=plain.dtype.name, shape=plain.shape)

    def get_array(self, ref: ArrayRef) -> np.ndarray:
        """The array, read-only and memory-mapped. Raises StoreError if it is not what
        ``ref`` says."""
        import numpy as np  # the engine does without

        path = self.path(ref.blob)
        try:
            array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise StoreError(
                f"blob {ref.blob} is not an array: {error}", where=str(self.root)
            ) from error
        if (array.dtype.name, array.shape) != (ref.dtype, ref.shape):
            raise StoreError(
                f"blob {ref.blob} holds {array.dtype.name}{list(array.shape)}, "
                f"not {ref.dtype}{list(ref.shape)}",
                where=str(self.root),
            )
        return array

    # Artifacts

    def put_artifact(self, folder: Path, format: str) -> Artifact:
        """Store every regular file below ``folder``.

        Raises StoreError for links and special files, for names that are not UTF-8, and
        where there is no file at all.
        """
        files: dict[str, str] = {}
        size = 0
        for path in sorted(folder.rglob("*")):
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                continue
            name = path.relative_to(folder).as_posix()
            if not stat.S_ISREG(mode) or not _encodable(name):
                raise StoreError(
                    f"{name!r} is not a regular file with a UTF-8 name", where=str(folder)
                )
            files[name] = self.put_file(path)
            size += self._blobs.size(files[name])
        if not files:
            raise StoreError("an artifact must have at least one file", where=str(folder))
        return Artifact(format=format, files=files, size_bytes=size)

    def checkout(self, artifact: Artifact, into: Path, writable: bool = False) -> Path:
        """Copy an artifact's files below ``into``, which is made; returns ``into``.

        Copies, never hard links: onnx refuses external data that has more than one.
        """
        for name, digest in artifact.files.items():
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise StoreError(f"the artifact's file {name!r} is outside it")
            blob = self.path(digest)
            with writing(into):
                target = into / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(blob, target)
                target.chmod(0o644 if writable else 0o444)
        return into

    # Checkpoints

    @contextlib.contextmanager
    def checkpoints(self, key: str) -> Iterator[Path | None]:
        """The folder where the job of a key keeps what it goes on from if it is killed.

        It is locked; None while another process has it. ``keep`` removes it when it keeps the
        job's outcome, ``gc`` where nothing was written for a week.
        """
        folder = self._outcomes.checkpoints(key)
        with writing(self.root):
            folder.mkdir(parents=True, exist_ok=True)
            claim = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        mine: Path | None = folder
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            mine = None
        try:
            yield mine
        finally:
            os.close(claim)

    # Outcomes

    def claim(self, key: str) -> Claim | None:
        """The right to work on a key alone; None while another process or engine has it."""
        return claim(self.root, key)

    def holder(self, key: str) -> str:
        """The id of the process that has the claim of a key; nothing where nobody tells."""
        return holder(self.root, key)

    def outcome(self, key: str) -> Outcome | None:
        """The kept outcome of a key; None where there is none whose blobs are all sound."""
        return self._outcomes.get(key)

    def keep(self, outcome: Outcome) -> None:
        """Keep an ``ok`` outcome under its key. Raises StoreError for any other."""
        self._outcomes.keep(outcome)
        shutil.rmtree(self._outcomes.checkpoints(outcome.key), ignore_errors=True)

    # Rough work and upkeep

    @contextlib.contextmanager
    def workdir(self) -> Iterator[Path]:
        """A fresh private folder that is removed afterwards, however its user ends."""
        with writing(self.root):
            folder = Path(tempfile.mkdtemp(prefix="work-", dir=self._session.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> int:
        """Remove rough folders of processes that are gone; returns how many."""
        with writing(self.root):
            return sweep(self.root)

    def ls(self) -> upkeep.Listing:
        """What is kept, last used first, and how much room it takes."""
        return upkeep.listing(self.root, self._blobs, self._outcomes)

    def gc(self, max_age_s: float | None = None, max_bytes: int | None = None) -> upkeep.Collected:
        """Remove outcomes unused for ``max_age_s``, then the longest unused until the blobs
        of the rest fit into ``max_bytes``, then every blob that no outcome names.

        Raises StoreError while another process uses the store.
        """
        with self._session.alone():
            drop_claims(self.root)
            return upkeep.collect(self._blobs, self._outcomes, max_age_s, max_bytes)

    def verify(self) -> upkeep.Verified:
        """Read every blob and record anew; remove what is corrupt and what depends on it."""
        return upkeep.verified(self._blobs, self._outcomes)


def _encodable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
