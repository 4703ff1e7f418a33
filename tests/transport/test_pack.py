"""The agent as one file speaks like the agent of the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edgeopt.agent import protocol
from edgeopt.transport.channel import Channel, Hello
from edgeopt.transport.pack import agent_archive, agent_digest


def test_the_archive_alone_answers_hello(tmp_path: Path) -> None:
    archive = tmp_path / "agent.pyz"
    archive.write_bytes(agent_archive())
    process = subprocess.Popen(
        [sys.executable, "-I", str(archive), str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0,
        stderr=(tmp_path / "log").open("wb"), cwd=tmp_path,
    )  # fmt: skip
    with Channel(process, "packed", tmp_path / "log") as channel:
        hello, _ = channel.ask("hello", Hello)
    assert hello.protocol == protocol.VERSION
    assert "onnxruntime" in hello.runtimes


def test_the_same_sources_make_the_same_bytes() -> None:
    first = agent_archive()
    agent_archive.cache_clear()
    assert agent_archive() == first
    assert len(agent_digest()) == 64
