"""Claims of keys: one holder at a time, none that outlives its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgeopt.schema.errors import StoreError
from edgeopt.store import Store

KEY, OTHER = "a" * 64, "b" * 64
HOLD = """
import sys, time
from edgeopt.store import Store

with Store(sys.argv[1]) as store:
    claim = store.claim(sys.argv[2])
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_key_has_one_holder_at_a_time(tmp_path: Path) -> None:
    with Store(tmp_path) as store, Store(tmp_path) as other:
        first = store.claim(KEY)
        assert first is not None and other.claim(KEY) is None and store.claim(KEY) is None
        assert other.holder(KEY) == str(os.getpid()) and other.holder(OTHER) == ""
        apart = other.claim(OTHER)
        assert apart is not None
        first.release()
        first.release()
        second = other.claim(KEY)
        assert second is not None and store.claim(KEY) is None
        second.release()
        apart.release()
        assert not list((tmp_path / "claims").iterdir())


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        command = [sys.executable, "-c", HOLD, str(tmp_path), KEY]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stdout.readline() == b"held\n"
            assert store.claim(KEY) is None and store.holder(KEY) == str(process.pid)
            process.send_signal(signal.SIGKILL)
        claim = store.claim(KEY)
        assert claim is not None
        claim.release()


def test_what_killed_holders_left_is_collected(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        (tmp_path / "claims").mkdir()
        (tmp_path / "claims" / KEY).write_text("4711")
        store.gc()
        assert not list((tmp_path / "claims").iterdir())


@pytest.mark.parametrize("key", ["", "../lock", "A" * 64])
def test_only_a_key_can_be_claimed(tmp_path: Path, key: str) -> None:
    with Store(tmp_path) as store, pytest.raises(StoreError, match="not a cache key"):
        store.claim(key)
