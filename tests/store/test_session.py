"""Who uses a store, and what is left of those who are gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgeopt.schema.errors import StoreError
from edgeopt.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_gc_waits_for_nobody_and_harms_nobody(store: Store) -> None:
    store.put_bytes(b"garbage, but perhaps about to be named")
    with Store(store.root), pytest.raises(StoreError, match="in use by another process"):
        store.gc()
    assert store.ls().blobs == 1
    assert store.gc().blobs == 1


def test_rough_work_of_the_dead_is_swept_and_of_the_living_is_not(tmp_path: Path) -> None:
    script = (
        "import sys, time; from edgeopt.store import Store; store = Store(sys.argv[1])\n"
        "with store.workdir() as folder:\n"
        "    (folder / 'rough').write_text('x'); print(folder, flush=True); time.sleep(600)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child:
        folder = Path(child.stdout.readline().strip())
        with Store(tmp_path) as store:
            assert (folder / "rough").exists()
            child.kill()
            child.wait()
            assert store.sweep() == 1
            assert not folder.exists()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_workdirs_are_private_fresh_and_gone_afterwards(store: Store) -> None:
    with store.workdir() as one, store.workdir() as two:
        assert one != two and list(one.iterdir()) == []
        (one / "deep").mkdir()
    assert not one.exists() and not two.exists()


def test_a_store_that_is_let_go_leaves_no_lock(tmp_path: Path) -> None:
    one, two = Store(tmp_path), Store(tmp_path)
    del one
    two.gc()
    two.close()
    two.close()
    assert list((tmp_path / "tmp").iterdir()) == []
