"""The loop of a worker: a request in, progress and an outcome out; no job can end it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO

from edgeopt.schema.base import canonical
from edgeopt.schema.errors import (
    MORE_MEMORY,
    DataError,
    EdgeoptError,
    ModelError,
    PassError,
    WorkerError,
    is_out_of_memory,
)
from edgeopt.schema.job import Job, Outcome, Request
from edgeopt.schema.plugged import one_line
from edgeopt.store import Store
from edgeopt.store.disk import no_room

if TYPE_CHECKING:
    from edgeopt.worker.handlers import Progress

BLAMED = {
    "open": ModelError,
    "data": DataError,
    "pass": PassError,
    "check": PassError,
    "analysis": DataError,
}
PROGRESS_S = 0.1  # progress is told at most this often


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests in turn. The end of ``requests`` ends the process at once."""
    lines: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests, lines), daemon=True).start()
    stores: dict[str, Store] = {}

    def reply(message: dict[str, Any]) -> None:
        replies.write(canonical(message) + b"\n")

    while True:
        request = Request.model_validate_json(lines.get())
        outcome = answer(request, stores, _teller(reply))
        reply({"outcome": outcome.to_json()})


def answer(request: Request, stores: dict[str, Store], progress: Progress) -> Outcome:
    """The outcome of one job, whatever its code raises; ``stores`` are kept between jobs."""
    job, started = request.job, time.monotonic()
    status, digest = "failed", ""
    value: dict[str, Any] = {}
    error: EdgeoptError | None = None
    home = os.getcwd()
    try:
        store = stores.get(request.store) or stores.setdefault(request.store, Store(request.store))
        os.chdir(request.workdir)  # libraries leave rough files where they stand
        from edgeopt.worker.kinds import HANDLERS  # loads numpy: the loop starts without

        if job.kind not in HANDLERS:
            raise WorkerError(f"a worker runs no job of kind '{job.kind}'", where=job.id)
        digest, value = HANDLERS[job.kind](request, store, progress)
        canonical(value)
        status = "ok"
    except (Exception, SystemExit) as raised:
        error = no_room(Path(request.store), raised)
        if error is None and is_out_of_memory(raised):
            traceback.print_exc()
            status = "memory"
            error = WorkerError("ran out of memory", where=job.id, hint=MORE_MEMORY)
        elif error is None and isinstance(raised, EdgeoptError):
            error = _placed(raised, job, Path(request.workdir))
        elif error is None:
            traceback.print_exc()
            error = _blamed(raised, job)
    finally:
        os.chdir(home)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
    return Outcome.model_validate(
        {
            "job": job.id,
            "status": status,
            "key": request.key,
            "digest": digest if error is None else "",
            "value": value if error is None else {},
            "error": error.record() if error else None,
            "seconds": time.monotonic() - started,
        }
    )


def _placed(error: EdgeoptError, job: Job, workdir: Path) -> EdgeoptError:
    """The error, with the job's id where it does not say where it happened, or names a file in the
    job's own folder, which is gone by the time that somebody reads it."""
    file = Path(error.where)
    if not error.where:
        error.where = job.id
    elif file.is_absolute() and file.is_relative_to(workdir):
        error.where = f"{job.id}: {file.name}"
    return error


def _blamed(raised: BaseException, job: Job) -> EdgeoptError:
    """An error of edgeopt's own made of what foreign code raised, with its last place."""
    last = traceback.extract_tb(raised.__traceback__)[-1]
    return BLAMED.get(job.kind, WorkerError)(
        f"{job.name} failed: {one_line(raised)}",
        where=job.id,
        hint=f"raised in {last.filename}:{last.lineno} ({last.name})",
    )


def _teller(reply: Callable[[dict[str, Any]], None]) -> Progress:
    last_reply = -PROGRESS_S

    def progress(done: float, total: float | None = None, **figures: float) -> None:
        nonlocal last_reply
        now = time.monotonic()
        if now - last_reply >= PROGRESS_S or done == total:
            last_reply = now
            figures = {name: float(value) for name, value in figures.items()}
            reply({"progress": {"done": float(done), "total": total, "figures": figures}})

    return progress


def _listen(requests: BinaryIO, lines: SimpleQueue[bytes]) -> None:
    for line in requests:
        lines.put(line)
    if os.getpgrp() == os.getpid():  # take what the job started along
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
