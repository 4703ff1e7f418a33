"""kill -9 at any step: the rerun goes on from the last checkpoint and ends with the same bits."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from training_parts import KILLED, sha256, trained

SCRIPT = Path(__file__).with_name("training_parts.py")


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def killed_at(folder: Path, step: int) -> list[int]:
    """Steps that a process began before it was killed, after it had said ``step``."""
    process, begun = start(folder), []
    assert process.stdout
    for line in process.stdout:
        begun.append(int(line.split()[1]))
        if begun[-1] == step:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    return begun


def test_killed_five_times_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, fitted = trained(KILLED)
    assert fitted.steps == KILLED.steps
    at = sorted(random.Random(os.urandom(8)).sample(range(1, 47), 5))
    furthest = 0
    for step in at:
        begun = killed_at(tmp_path, step)
        assert begun[0] >= furthest // KILLED.checkpoint_every * KILLED.checkpoint_every, at
        furthest = begun[-1]
    done = start(tmp_path).communicate(timeout=100)[0].split("\n")
    again = furthest - int(done[0].split()[1])
    assert again <= KILLED.checkpoint_every, at
    assert f"weights {sha256(whole)}" in done, at
