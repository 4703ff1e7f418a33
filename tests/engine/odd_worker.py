"""The real worker with passes that misbehave: the name of the job says how."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edgeopt.schema.errors import PassError, StoreError
from edgeopt.schema.job import Request
from edgeopt.store import Store
from edgeopt.worker import kinds
from edgeopt.worker.__main__ import main


def behave(request: Request, store: Store, progress: Any) -> tuple[str, dict[str, Any]]:
    job = request.job
    if "trace" in job.where:  # one line a computation, for tests that count them
        with Path(job.where["trace"]).open("a") as trace:
            trace.write(f"{job.id} {os.getpid()}\n")
    print("printed by", job.id)
    BEHAVIOURS[job.name](job.where)
    for step in range(int(job.params.get("steps", 0))):
        progress(step + 1, job.params["steps"], loss=1 / (step + 1))
        time.sleep(0.02)
    digest = store.put_bytes(str(job.params.get("content", job.id)).encode())
    return digest, {"pid": os.getpid(), "cwd": os.getcwd(), "inputs": sorted(request.inputs)}


def refuse(where: dict[str, Any]) -> None:
    raise PassError("this model is not to its taste")


def stumble(where: dict[str, Any]) -> None:
    raise IndexError("list index out of range")


def fill_disk(where: dict[str, Any]) -> None:
    raise StoreError("no room left to write", where="the store")


def starve(where: dict[str, Any]) -> None:
    raise MemoryError


def segfault(where: dict[str, Any]) -> None:
    os.write(2, b"about to read address 0\n")
    ctypes.string_at(0)


def hold(where: dict[str, Any]) -> None:
    """So many MB for so many seconds, and afterwards too if they are kept."""
    held = b"x" * (int(where["mb"]) << 20)
    time.sleep(float(where["s"]))
    if where.get("kept"):
        KEPT.append(held)


KEPT: list[bytes] = []


def hog(where: dict[str, Any]) -> None:
    held = []
    while True:
        held.append(b"x" * (8 << 20))
        time.sleep(0.005)


def hold_gil(where: dict[str, Any]) -> None:
    Path(where["child"]).write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(600)  # native code that lets no other thread run


def spawn_and_hang(where: dict[str, Any]) -> None:
    child = subprocess.Popen(["sleep", "600"])
    Path(where["child"]).write_text(str(child.pid))
    time.sleep(600)


BEHAVIOURS: dict[str, Any] = {
    "echo": lambda where: None,
    "refuse": refuse,
    "stumble": stumble,
    "leave": lambda where: sys.exit("good bye"),
    "vanish": lambda where: os._exit(7),
    "segfault": segfault,
    "killed": lambda where: os.kill(os.getpid(), signal.SIGKILL),
    "hang": lambda where: time.sleep(600),
    "hold-gil": hold_gil,
    "spawn-and-hang": spawn_and_hang,
    "hold": hold,
    "hog": hog,
    "starve": starve,
    "fill-disk": fill_disk,
}

if __name__ == "__main__":
    kinds.HANDLERS["pass"] = behave
    main()
