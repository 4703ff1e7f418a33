"""A full disk: one StoreError that names the store, and nothing half-written.

Once on a real tmpfs of 1 MB, mounted in a mount namespace of the child alone, and once under
the kernel's limit on the size of a file, which stands in where mounting is forbidden.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FILL = """
import json, resource, sys
from pathlib import Path

import numpy as np

from edgeopt.schema.errors import StoreError
from edgeopt.schema.job import Outcome
from edgeopt.store import Store

root, way = Path(sys.argv[1]), sys.argv[2]
if way == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
store = Store(root)
small = store.put_bytes(b"small")
errors = []


def attempt(call, *args):
    try:
        call(*args)
    except StoreError as error:
        errors.append({"text": str(error), "record": error.record()})


attempt(store.put_bytes, bytes(2 << 20))
attempt(store.put_array, np.ones((512, 1024)))
attempt(store.put_file, sys.argv[3])
if way == "tmpfs":
    (root / "ballast").write_bytes(b"")
    try:
        with open(root / "ballast", "ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        pass
    attempt(store.keep, Outcome(job="job", status="ok", key="a" * 64, value={"x": "y" * 9000}))
    (root / "ballast").unlink()
    assert store.outcome("a" * 64) is None
assert store.get_bytes(small) == b"small"
assert store.verify().ok
found = store.ls()
rough = [str(path) for path in (root / "tmp").glob("*/*")]
again = store.get_bytes(store.put_bytes(b"room again")).decode()
print(json.dumps({"errors": errors, "blobs": found.blobs, "rough": rough, "again": again}))
"""
MOUNT = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'


def tmpfs_fronts(root: Path) -> list[list[str]]:
    """Words to put in front of a command so that ``root`` is a small tmpfs for it."""
    return [
        ["unshare", "--mount", *user, "sh", "-c", MOUNT, str(root)]
        for user in ([], ["--map-root-user"])
    ]


def works(front: list[str]) -> bool:
    try:
        return subprocess.run([*front, "true"], capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.fixture(scope="module", params=["tmpfs", "limit"])
def full_disk(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("full")
    store, big = folder / "store", folder / "big"
    store.mkdir()
    big.write_bytes(bytes(3 << 20))
    fronts = [front for front in tmpfs_fronts(store) if works(front)]
    way, front = ("tmpfs", fronts[0]) if fronts and request.param == "tmpfs" else ("limit", [])
    words = [sys.executable, "-c", FILL, str(store), way, str(big)]
    done = subprocess.run([*front, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "root": str(store), "way": way}


def test_each_write_fails_with_an_error_that_names_store_and_room(
    full_disk: dict[str, Any],
) -> None:
    assert len(full_disk["errors"]) == (4 if full_disk["way"] == "tmpfs" else 3), full_disk
    for error in full_disk["errors"]:
        assert error["record"]["type"] == "StoreError"
        assert full_disk["root"] in error["text"]
        assert "no room left" in error["text"]
        assert "bytes free" in error["text"]
        assert "edgeopt cache gc" in error["record"]["hint"]


def test_nothing_half_written_stays_and_the_store_goes_on(full_disk: dict[str, Any]) -> None:
    assert full_disk["blobs"] == 1
    assert full_disk["rough"] == []
    assert full_disk["again"] == "room again"
