"""Uploads to a real supervisor: once per digest, from where they broke off, never a wrong one."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeopt.schema.errors import DeviceError
from edgeopt.transport import upload as uploads
from edgeopt.transport.board import LeaseReply
from edgeopt.transport.channel import Channel
from edgeopt.transport.upload import upload

DATA = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "CHUNK", 4096)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Channel]:
    """One that holds ``tmp_path/work``."""
    (tmp_path / "work").mkdir()
    log = tmp_path / "log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgeopt.agent", "--keep", str(tmp_path / "work")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            start_new_session=True, bufsize=0,
        )  # fmt: skip
    with Channel(process, "board", log) as channel:
        asked = {"run": "run-0123456789abcdef", "who": "a test", "keep_bytes": 1 << 30}
        assert channel.ask("lease", LeaseReply, **asked)[0].held
        yield channel


@pytest.fixture
def blobs(tmp_path: Path) -> Path:
    return tmp_path / "work" / "blobs"


def written(folder: Path, data: bytes) -> dict[str, Path]:
    path = folder / f"file-{len(data)}"
    path.write_bytes(data)
    return {hashlib.sha256(data).hexdigest(): path}


def test_files_arrive_whole_whatever_their_size(
    supervisor: Channel, blobs: Path, tmp_path: Path
) -> None:
    files: dict[str, Path] = {}
    for size in (0, 1, 4096, 4097, len(DATA)):
        files |= written(tmp_path, DATA[:size])
    upload(supervisor, files, lambda text: pytest.fail(text))
    assert {path.name: path.read_bytes() for path in blobs.iterdir()} == {
        digest: path.read_bytes() for digest, path in files.items()
    }


def test_it_goes_on_where_it_was_cut_off_and_is_sent_once(
    supervisor: Channel, blobs: Path, tmp_path: Path
) -> None:
    files = written(tmp_path, DATA)
    ((digest, path),) = files.items()
    (blobs / f"{digest}.part").write_bytes(DATA[:5000])
    path.write_bytes(bytes(5000) + DATA[5000:])  # its start could not be sent again
    upload(supervisor, files, lambda _text: None)
    assert (blobs / digest).read_bytes() == DATA
    path.write_bytes(bytes(len(DATA)))  # and now nothing of it
    upload(supervisor, files, lambda _text: None)
    assert (blobs / digest).read_bytes() == DATA


def test_a_start_that_is_not_the_files_is_sent_again(
    supervisor: Channel, blobs: Path, tmp_path: Path
) -> None:
    files = written(tmp_path, DATA)
    (digest,) = files
    (blobs / f"{digest}.part").write_bytes(bytes(5000))
    upload(supervisor, files, lambda _text: None)
    assert (blobs / digest).read_bytes() == DATA


def test_a_file_that_is_not_what_its_digest_says_never_arrives(
    supervisor: Channel, blobs: Path, tmp_path: Path
) -> None:
    ((digest, path),) = written(tmp_path, DATA).items()
    path.write_bytes(DATA[::-1])
    with pytest.raises(DeviceError, match="arrived corrupted, 2 times") as caught:
        upload(supervisor, {digest: path}, lambda _text: None)
    assert caught.value.where == "board" and path.name in caught.value.what
    assert not list(blobs.iterdir())


def test_a_long_upload_is_told(
    supervisor: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "LONG_BYTES", 5000)
    told: list[str] = []
    upload(supervisor, written(tmp_path, DATA), told.append)
    upload(supervisor, written(tmp_path, DATA), told.append)
    assert told == ["board: sending 0 MB"], "what is there is not sent"


@pytest.mark.parametrize(
    ("offsets", "said"),
    [
        (lambda digest: {}, "named files that it was not asked for"),
        (lambda digest: {digest: 0, "0" * 64: 0}, "named files that it was not asked for"),
        (lambda digest: {digest: -1}, "the board has -1 bytes"),
        (lambda digest: {digest: len(DATA) + 1}, f"the board has {len(DATA) + 1} bytes"),
    ],
)
def test_what_a_board_claims_to_have_is_checked(tmp_path: Path, offsets: Any, said: str) -> None:
    ((digest, path),) = written(tmp_path, DATA).items()

    class Liar:
        name = "board"

        def ask(self, do: str, reply: Any, **_: Any) -> Any:
            assert do == "have"
            return reply.model_validate({"offsets": offsets(digest)}), {}

    liar: Any = Liar()
    with pytest.raises(DeviceError, match=said):
        upload(liar, {digest: path}, lambda _text: None)
