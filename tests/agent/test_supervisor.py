"""A supervisor ends with its host, and not before: a job may be longer than anyone's patience."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from edgeopt.transport.board import Empty, LeaseReply
from edgeopt.transport.channel import Channel

IDLE_S = 1.0
CODE = f"""\
import sys
from edgeopt.agent import __main__ as agent
agent.IDLE_S = {IDLE_S}
sys.argv = ["agent", *sys.argv[1:]]
agent.main()
"""


def start(folder: Path, *words: str) -> Channel:
    log = folder.parent / f"{folder.name}.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, *words, str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            start_new_session=True, bufsize=0,
        )  # fmt: skip
    return Channel(process, "supervisor", log)


def test_a_supervisor_stays_while_agents_answer_and_ends_when_none_does(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    run = "run-0123456789abcdef"
    with start(work, "--keep") as supervisor:
        told, _ = supervisor.ask("lease", LeaseReply, run=run, who="a test", keep_bytes=1)
        assert told.held
        ends = time.monotonic() + 4 * IDLE_S
        while time.monotonic() < ends:
            os.utime(work / run)  # as each answer of an agent does
            time.sleep(IDLE_S / 5)
        supervisor.ask("link", Empty, blobs=[])
        ends = time.monotonic() + 20 * IDLE_S
        while supervisor.ended is None:
            assert time.monotonic() < ends, "it must end when nobody is there"
            time.sleep(IDLE_S / 5)
    assert not (work / run).exists()
