"""The agent's process: its pipes, its folder and its end."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from edgeopt.agent import protocol
from edgeopt.transport.channel import Channel, Hello

FOLDER = Path(protocol.__file__).parent


def test_a_copy_of_the_folder_alone_answers(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import sys, runpy; sys.argv[1:] = ['.']; runpy.run_module('agent', run_name='__main__')"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write(protocol.pack({"do": "hello"}) + protocol.pack({"do": "dance"}))
        stream = io.BufferedReader(process.stdout)  # type: ignore[type-var]
        hello, _ = protocol.unpack(stream.read)
        unknown, _ = protocol.unpack(stream.read)
        process.kill()
    assert hello["ok"]["protocol"] == protocol.VERSION
    assert "onnxruntime" in hello["ok"]["runtimes"]
    assert unknown["error"]["type"] == "DeviceError"


def start(log: Path, *words: str) -> Channel:
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgeopt.agent", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            start_new_session=True, bufsize=0,
        )  # fmt: skip
    return Channel(process, "agent", log)


def test_an_agent_tells_its_folder_that_it_was_asked(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    os.utime(folder, (0, 0))
    with start(tmp_path / "log", str(folder)) as agent:
        agent.ask("hello", Hello)
        assert time.time() - folder.stat().st_mtime < 60


def test_its_libraries_leave_their_files_where_they_go_with_it(tmp_path: Path) -> None:
    with start(tmp_path / "log", str(tmp_path)) as agent:
        agent.ask("hello", Hello)
        (there,) = psutil.Process().children()[-1:]
        assert there.status() != psutil.STATUS_ZOMBIE
        assert os.readlink(f"/proc/{there.pid}/fd/0") == os.devnull, "nobody else reads requests"
        assert os.readlink(f"/proc/{there.pid}/fd/1") == str(tmp_path / "log")


@pytest.mark.parametrize("words", [(), ("a", "1", "2")])
def test_other_words_are_refused_with_what_it_takes(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgeopt.agent", *words], capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stdout == ""
    assert "python -m edgeopt.agent FOLDER [MEMORY]" in done.stderr


def test_its_memory_is_bounded_where_that_is_asked(tmp_path: Path) -> None:
    limit = 3 << 30
    with start(tmp_path / "log", str(tmp_path), str(limit)) as agent:
        agent.ask("hello", Hello)
        (there,) = psutil.Process().children()[-1:]
        assert there.rlimit(psutil.RLIMIT_AS) == (limit, limit)


def test_what_is_no_frame_ends_it_with_a_word(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgeopt.agent", str(tmp_path)], input=b"GET / HTTP/1.1" * 9,
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == 1 and done.stdout == b""
    assert b"agent: frame starts with b'GET '" in done.stderr


def test_it_ends_with_its_host(tmp_path: Path) -> None:
    with start(tmp_path / "log", str(tmp_path)) as agent:
        agent.ask("hello", Hello)
    assert agent.ended == 0, "its input was closed"
