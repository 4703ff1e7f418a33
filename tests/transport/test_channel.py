"""An agent that lies, dies or hangs is an error that names it, and is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from edgeopt.schema.errors import DeviceError, UsageError
from edgeopt.schema.target import parse_target
from edgeopt.transport.channel import Channel, Hello
from edgeopt.transport.hello import checked
from edgeopt.transport.kinds import device_named

ODD = {
    "dies": "sys.stderr.write('out of luck'); sys.exit(3)",
    "is killed": "os.kill(os.getpid(), 9)",
    "says nothing of the protocol": "os.write(1, b'hello, world' * 99); time.sleep(60)",
    "announces too much": "os.write(1, b'\\xff' * 64); time.sleep(60)",
    "hangs": "time.sleep(60)",
    "answers another question": "os.write(1, pack({'ok': {'nodes': {}}})); time.sleep(60)",
    "answers nothing known": "os.write(1, pack({'maybe': 1})); time.sleep(60)",
    "claims too much memory": "os.write(1, pack({'ok': {'protocol': 3, 'machine': {'isa': 'a', "
    "'cores': 1, 'memory_bytes': 10**400}, 'runtimes': {}}})); time.sleep(60)",
    "gives no number": "os.write(1, pack({'ok': {'protocol': 'one'}})); time.sleep(60)",
}


def start(code: str, folder: Path, cancelled: threading.Event | None = None) -> Channel:
    script = (
        "import os, sys, time\nfrom edgeopt.agent.protocol import pack\n"
        f"sys.stdin.buffer.read(4)\n{code}\n"
    )
    log = folder / "log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            bufsize=0,
        )
    return Channel(process, "odd", log, cancelled)


def children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_agent_is_an_error_that_names_it_and_is_gone(kind: str, tmp_path: Path) -> None:
    before = children()
    with start(ODD[kind], tmp_path) as channel, pytest.raises(DeviceError) as caught:
        channel.ask("hello", Hello, timeout_s=1.5)
    assert caught.value.where == "odd"
    assert children() == before
    if kind == "dies":
        assert "exit status 3" in caught.value.what and "out of luck" in caught.value.hint


@pytest.mark.parametrize("kind", ["UsageError", "StoreError", "ModelError", "Nonsense"])
def test_what_fails_before_there_is_a_model_is_the_devices_fault(kind: str, tmp_path: Path) -> None:
    """No word of an agent ends more than what was asked of it."""
    record = {"type": kind, "what": "no luck", "where": "there", "hint": "try again"}
    code = f"os.write(1, pack({{'error': {record!r}}})); time.sleep(60)"
    with start(code, tmp_path) as channel, pytest.raises(DeviceError, match="no luck") as caught:
        checked(channel)
    assert caught.value.hint == "try again"


def test_a_cancel_ends_the_waiting(tmp_path: Path) -> None:
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    with (
        start("time.sleep(600)", tmp_path, cancelled) as channel,
        pytest.raises(DeviceError, match="cancelled"),
    ):
        channel.ask("hello", Hello, timeout_s=500)


def test_this_machine_says_what_it_is() -> None:
    facts = device_named("local").facts(parse_target("local/onnxruntime"))
    assert facts.isa.startswith(os.uname().machine)
    assert facts.runtime_version and facts.cores >= 1
    with pytest.raises(UsageError, match="unknown device"):
        device_named("loacl")
