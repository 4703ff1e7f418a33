"""What every store must do. A test of a store of another kind subclasses ``StoreConformance``::

class TestMyStore(StoreConformance):
    kind = "mypackage.stores:MyStore"  # called with a folder; an edgeopt.store.Store
"""

from __future__ import annotations

import hashlib
import importlib
import random
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import StoreError
from edgeopt.schema.job import Outcome
from edgeopt.store import Store

KILLS, NUMBERS, SIZE = 8, 12, 100_000
WRITER = """
import random, sys
from edgeopt.schema.base import digest_of
from edgeopt.schema.job import Outcome
from edgeopt.testing.stores import content, opened

kind, root, seed, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
pick = random.Random(seed)
with opened(kind, root) as store:
    print("ready", flush=True)
    for _ in range(rounds):
        number = pick.randrange(12)
        digest, key = store.put_bytes(content(number)), digest_of(number)
        store.keep(Outcome(job=str(number), status="ok", key=key, digest=digest))
        found = store.outcome(key)
        assert found is not None and store.get_bytes(found.digest) == content(number)
        with store.workdir() as folder:
            (folder / "rough").write_bytes(b"x")
            assert len(list(folder.iterdir())) == 1
"""


@dataclass(frozen=True)
class Place:
    """A kind of store, ``MODULE:NAME``, and where one is made."""

    kind: str
    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "store"

    def open(self) -> AbstractContextManager[Store]:
        """The store; a context that closes it."""
        return opened(self.kind, self.root)

    @contextmanager
    def writer(self, seed: int, rounds: int) -> Iterator[subprocess.Popen[str]]:
        """A process that writes the same few keys over and over, once it is at it."""
        words = [sys.executable, "-c", WRITER, self.kind, str(self.root), str(seed), str(rounds)]
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True) as process:
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert ready == "ready\n", process.communicate()[1]
            try:
                yield process
            except BaseException:
                process.kill()  # it may have no end of its own
                raise


@contextmanager
def opened(kind: str, root: Path | str) -> Iterator[Store]:
    """A store of that kind at a folder."""
    module, _, name = kind.partition(":")
    make: Callable[[Path], Store] = getattr(importlib.import_module(module), name)
    with make(Path(root)) as store:
        yield store


def content(number: int) -> bytes:
    """What the writing processes keep under a number."""
    return bytes([number]) * SIZE


def names_content_by_its_digest(place: Place) -> str:
    """SHA-256; equal content lies there once, read-only; what is not there is named."""
    with place.open() as store:
        digest = store.put_bytes(b"content")
        assert digest == hashlib.sha256(b"content").hexdigest(), "the digest is no SHA-256"
        assert store.put_bytes(b"content") == digest and store.ls().blobs == 1, "it is kept twice"
        assert store.get_bytes(digest) == b"content"
        mode = stat.S_IMODE(store.path(digest).stat().st_mode)
        assert mode & 0o222 == 0, f"the content can be written to: {mode:o}"
        absent = hashlib.sha256(b"absent").hexdigest()
        _refused(lambda: store.get_bytes(absent), absent, "content that is not there")
        _refused(lambda: store.path("../secret"), "../secret", "what is no digest")
    with place.open() as store:
        assert store.get_bytes(digest) == b"content", "opened again, it is gone"
    return digest


def keeps_what_went_well(place: Place) -> str:
    """An outcome under its key; none that failed, none whose record or content was changed."""
    with place.open() as store:
        outcome = _kept(store, 1)
        assert store.outcome(outcome.key) == outcome
        assert store.outcome(digest_of("another")) is None, "a key without an outcome has one"
        failed = outcome.model_copy(update={"status": "failed", "key": digest_of("failed")})
        _refused(lambda: store.keep(failed), "failed", "an outcome that failed")
        (record,) = place.root.rglob(f"{outcome.key}*")
        record.chmod(0o644)
        record.write_bytes(record.read_bytes().replace(b'"job":"1"', b'"job":"2"'))
        assert store.outcome(outcome.key) is None, "a record that was changed is believed"
    return "records are sealed"


def finds_a_flipped_bit(place: Place) -> str:
    """``verify`` names and removes it with what depends on it; putting it again heals."""
    with place.open() as store:
        sound, outcome = _kept(store, 1), _kept(store, 2)
        assert store.verify().ok, "a store that nobody touched is damaged"
        flip(store.path(outcome.digest))
        verified = store.verify()
        assert verified.corrupt == (outcome.digest,), f"it finds {verified.corrupt} damaged"
        assert verified.broken == (outcome.key,), f"it finds {verified.broken} broken"
        assert store.outcome(outcome.key) is None and store.outcome(sound.key) == sound
        _refused(lambda: store.get_bytes(outcome.digest), outcome.digest, "damaged content")
        assert _kept(store, 2) == outcome and store.verify().ok, "put again, it is not whole"
        flip(store.path(outcome.digest))
        _refused(lambda: store.get_bytes(outcome.digest), outcome.digest, "damaged content")
    return "one bit"


def collects_what_nobody_names(place: Place) -> str:
    """Content without an outcome goes, the rest stays; not while another process writes."""
    with place.open() as store:
        outcome, loose = _kept(store, 1), store.put_bytes(b"loose")
        with place.writer(0, 10**6) as process:
            _refused(store.gc, str(place.root), "collecting while another process writes")
            process.kill()
        collected = store.gc()
        assert collected.outcomes == 0, "an outcome in use was collected"
        _refused(lambda: store.get_bytes(loose), loose, "content that nobody names")
        assert store.get_bytes(outcome.digest) == content(1)
        assert store.gc(max_age_s=0.0, max_bytes=0).kept_bytes == 0 and store.ls().blobs == 0
    return f"{collected.blobs} blobs, {collected.freed_bytes} bytes"


def outlives_a_kill(place: Place) -> str:
    """Processes that are killed while they write leave whole content, or none."""
    pick = random.Random(0)
    for seed in range(KILLS):
        with place.writer(seed, 10**6) as process:
            time.sleep(pick.uniform(0, 0.05))
            process.kill()
    with place.open() as store:
        rough = list((place.root / "tmp").iterdir())
        assert len(rough) == 1, f"the rough work of the dead is still there: {rough}"
        verified = store.verify()
        assert verified.ok, f"a killed writer left {verified}"
        for number in range(NUMBERS):
            outcome = store.outcome(digest_of(number))
            assert outcome is None or store.get_bytes(outcome.digest) == content(number)
    return f"{KILLS} kills, {verified.blobs} blobs"


def is_shared(place: Place) -> str:
    """Processes that write the same keys at once all succeed, and each key has one outcome."""
    children = [place.writer(seed, 40) for seed in range(3)]
    with children[0] as a, children[1] as b, children[2] as c:
        for child in (a, b, c):
            _, errors = child.communicate()
            assert child.returncode == 0, errors
    with place.open() as store:
        verified, listed = store.verify(), store.ls()
        assert verified.ok, f"three writers left {verified}"
        assert listed.blobs == len(listed.entries) <= NUMBERS, "content is kept twice"
    left = list((place.root / "tmp").iterdir())
    assert not left, f"rough work is left: {left}"
    return f"{listed.blobs} keys"


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


class StoreConformance:
    """Subclass it; pytest runs the rest."""

    kind = "edgeopt.store:Store"

    def place(self, tmp_path: Path) -> Place:
        """Where a check works."""
        return Place(self.kind, tmp_path)

    def test_it_names_content_by_its_digest(self, tmp_path: Path) -> None:
        names_content_by_its_digest(self.place(tmp_path))

    def test_it_keeps_what_went_well(self, tmp_path: Path) -> None:
        keeps_what_went_well(self.place(tmp_path))

    def test_it_finds_a_flipped_bit(self, tmp_path: Path) -> None:
        finds_a_flipped_bit(self.place(tmp_path))

    def test_it_collects_what_nobody_names(self, tmp_path: Path) -> None:
        collects_what_nobody_names(self.place(tmp_path))

    def test_it_outlives_a_kill(self, tmp_path: Path) -> None:
        outlives_a_kill(self.place(tmp_path))

    def test_it_is_shared(self, tmp_path: Path) -> None:
        is_shared(self.place(tmp_path))


def _kept(store: Store, number: int) -> Outcome:
    """An outcome of some content, put and kept."""
    digest = store.put_bytes(content(number))
    outcome = Outcome(job=str(number), status="ok", key=digest_of(number), digest=digest)
    store.keep(outcome)
    return outcome


def _refused(action: Callable[[], Any], named: str, what: str) -> None:
    try:
        action()
    except StoreError as error:
        assert named in str(error), f"{what}: the error does not name '{named}': {error}"
        return
    raise AssertionError(f"{what} was no StoreError")
