"""Several processes on one store, and processes killed while they write."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from edgeopt.schema.base import digest_of
from edgeopt.store import Store

WRITE = """
import random, sys
from edgeopt.schema.base import digest_of
from edgeopt.schema.job import Outcome
from edgeopt.store import Store

root, seed, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
pick = random.Random(seed)
with Store(root) as store:
    print("ready", flush=True)
    for _ in range(rounds):
        number = pick.randrange(12)
        digest = store.put_bytes(bytes([number]) * 100_000)
        key = digest_of(number)
        store.keep(Outcome(job=str(number), status="ok", key=key, digest=digest))
        found = store.outcome(key)
        assert found is not None and store.get_bytes(found.digest)[0] == number
        with store.workdir() as folder:
            (folder / "rough").write_bytes(b"x")
            assert len(list(folder.iterdir())) == 1
"""


def writer(root: Path, seed: int, rounds: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITE, str(root), str(seed), str(rounds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_share_a_store(tmp_path: Path) -> None:
    children = [writer(tmp_path, seed, 40) for seed in range(3)]
    for child in children:
        _, errors = child.communicate()
        assert child.returncode == 0, errors
    with Store(tmp_path) as store:
        assert store.verify().ok
        listed = store.ls()
        assert listed.blobs == len(listed.entries) <= 12
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_process_killed_at_any_moment_leaves_a_valid_store(tmp_path: Path) -> None:
    pick = random.Random(0)
    for seed in range(8):
        with writer(tmp_path, seed, 10**6) as child:
            assert child.stdout is not None and child.stdout.readline() == "ready\n"
            time.sleep(pick.uniform(0, 0.05))
            child.kill()
    with Store(tmp_path) as store:
        assert len(list((tmp_path / "tmp").iterdir())) == 1
        found = store.verify()
        assert found.ok, found
        for number in range(12):
            outcome = store.outcome(digest_of(number))
            assert outcome is None or store.get_bytes(outcome.digest) == bytes([number]) * 100_000
