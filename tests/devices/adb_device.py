"""The device's end of the adb protocol over TCP: enough for the real client to run a shell.

Messages and the shell protocol as in Android's ``packages/modules/adb/protocol.txt`` and
``shell_protocol.h``. Run as ``python adb_device.py PORT HOME``; commands run in /bin/sh there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading

HEADER = struct.Struct("<4sIIIII")
VERSION, MOST = 0x01000001, 1 << 18
BANNER = b"device::ro.product.name=loopback;ro.product.model=loopback;features=shell_v2,cmd\0"
STDIN, STDOUT, STDERR, EXIT, CLOSE = 0, 1, 2, 3, 4


class Connection:
    def __init__(self, peer: socket.socket, home: str) -> None:
        self.peer, self.home = peer, home
        self.sending = threading.Lock()
        self.shells: dict[int, Shell] = {}

    def send(self, command: bytes, first: int, second: int, data: bytes = b"") -> None:
        magic = int.from_bytes(command, "little") ^ 0xFFFFFFFF
        with self.sending:
            header = HEADER.pack(command, first, second, len(data), 0, magic)
            self.peer.sendall(header + data)

    def read(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            part = self.peer.recv(count - len(got))
            if not part:
                raise EOFError
            got += part
        return got

    def serve(self) -> None:
        try:
            while True:
                command, first, second, size, _, _ = HEADER.unpack(self.read(HEADER.size))
                self.take(command, first, second, self.read(size))
        except (EOFError, OSError):
            for shell in self.shells.values():
                shell.end()

    def take(self, command: bytes, first: int, second: int, data: bytes) -> None:
        if command == b"CNXN":
            self.send(b"CNXN", VERSION, MOST, BANNER)
        elif command == b"OPEN":
            service, _, line = data.rstrip(b"\0").partition(b":")
            if service.split(b",")[:2] != [b"shell", b"v2"]:
                self.send(b"CLSE", 0, first)
                return
            self.shells[first] = Shell(self, len(self.shells) + 1, first, line)
            self.send(b"OKAY", self.shells[first].id, first)
            self.shells[first].start()
        elif command == b"WRTE":
            self.send(b"OKAY", second, first)
            self.shells[first].feed(data)
        elif command == b"OKAY":
            self.shells[first].ready.release()
        elif command == b"CLSE" and first in self.shells:
            self.shells.pop(first).end()


class Shell:
    """One ``adb shell``: a process whose streams are framed into one."""

    def __init__(self, connection: Connection, own: int, peer: int, line: bytes) -> None:
        self.connection, self.id, self.peer, self.line = connection, own, peer, line
        self.ready = threading.Semaphore(1)
        self.pending = b""

    def start(self) -> None:
        self.process = subprocess.Popen(
            [b"/bin/sh", b"-c", self.line],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            bufsize=0, cwd=self.connection.home, start_new_session=True,
            env={"HOME": self.connection.home, "PATH": os.environ["PATH"]},
        )  # fmt: skip
        pumps = [
            threading.Thread(target=self.pump, args=each, daemon=True)
            for each in ((self.process.stdout, STDOUT), (self.process.stderr, STDERR))
        ]
        for pump in pumps:
            pump.start()
        threading.Thread(target=self.wait, args=(pumps,), daemon=True).start()

    def pump(self, stream: object, kind: int) -> None:
        while data := os.read(stream.fileno(), 1 << 16):  # type: ignore[attr-defined]
            self.tell(kind, data)

    def wait(self, pumps: list[threading.Thread]) -> None:
        for pump in pumps:
            pump.join()
        code = self.process.wait()
        self.tell(EXIT, bytes([code if code >= 0 else 128 - code]))
        self.connection.send(b"CLSE", self.id, self.peer)

    def tell(self, kind: int, data: bytes) -> None:
        self.ready.acquire()
        packet = struct.pack("<BI", kind, len(data)) + data
        self.connection.send(b"WRTE", self.id, self.peer, packet)

    def feed(self, data: bytes) -> None:
        self.pending += data
        while len(self.pending) >= 5:
            kind, size = struct.unpack("<BI", self.pending[:5])
            if len(self.pending) < 5 + size:
                return
            chunk, self.pending = self.pending[5 : 5 + size], self.pending[5 + size :]
            if kind == STDIN:
                while chunk:
                    chunk = chunk[os.write(self.process.stdin.fileno(), chunk) :]  # type: ignore[union-attr]
            elif kind == CLOSE:
                self.process.stdin.close()  # type: ignore[union-attr]

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGHUP)


def main() -> None:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=Connection(peer, sys.argv[2]).serve, daemon=True).start()


if __name__ == "__main__":
    main()
