"""Folders that jobs keep checkpoints in: one owner, gone with the outcome, collected when old."""

from __future__ import annotations

import os
import time
from pathlib import Path

from edgeopt.schema.job import Outcome
from edgeopt.store import Store

KEY = "c" * 64


def test_checkpoints_stay_until_the_outcome_is_kept(tmp_path: Path) -> None:
    with Store(tmp_path) as store, store.checkpoints(KEY) as folder:
        assert folder is not None
        (folder / "step-8.pt").write_bytes(b"weights")
        with Store(tmp_path) as other, other.checkpoints(KEY) as taken:
            assert taken is None, "one job writes at a time"
    with Store(tmp_path) as store:
        with store.checkpoints(KEY) as folder:
            assert folder is not None and (folder / "step-8.pt").read_bytes() == b"weights"
        store.keep(Outcome(job="distill", status="ok", key=KEY))
        assert not folder.exists()


def test_gc_gives_up_what_nobody_went_on_from_for_a_week(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        with store.checkpoints(KEY) as folder:
            assert folder is not None
            (folder / "step-8.pt").write_bytes(b"weights")
        store.gc()
        assert folder.exists()
        old = time.time() - 8 * 86_400
        os.utime(folder / "step-8.pt", (old, old))
        assert store.gc().freed_bytes == 7
        assert not folder.exists()
