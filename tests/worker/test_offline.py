"""A process without network, and what it starts."""

from __future__ import annotations

import socket
import subprocess
import sys

CUT = "from edgeopt.worker.offline import cut_off; cut_off()\n"
CONNECT = """
import socket
try:
    socket.create_connection(("127.0.0.1", {port}), timeout=5)
except OSError as error:
    print(type(error).__name__, error)
else:
    print("connected")
"""


def said(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_it_connects_to_nobody_not_even_here() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = CONNECT.format(port=server.getsockname()[1])
        assert "connected" in said(connect), "the server is there"
        assert "the network is off here" in said(CUT + connect)


def test_names_are_not_looked_up() -> None:
    look = (
        "import socket\ntry: socket.getaddrinfo('example.org', 80)\nexcept OSError as e: print(e)"
    )
    assert "the network is off here" in said(CUT + look)


def test_what_it_starts_has_no_network_either_where_the_kernel_says_so() -> None:
    """A program of its own is beyond Python's hooks: the namespace keeps it in."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = CONNECT.format(port=server.getsockname()[1])
        start = (
            "from edgeopt.worker.offline import cut_off\nimport subprocess, sys\n"
            f"alone = cut_off()\nsubprocess.run([sys.executable, '-c', {connect!r}])\nprint(alone)"
        )
        told = said(start)
        assert "connected" not in told if "True" in told else "connected" in told


def test_processes_of_this_machine_still_talk() -> None:
    talk = "import socket\na, b = socket.socketpair()\na.send(b'x'); print(b.recv(1))"
    assert "b'x'" in said(CUT + talk)
