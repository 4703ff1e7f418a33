"""Holds a device for one host: its lease, the files put there, and the folder of one job.

One supervisor runs as long as the job does; agents run beside it and read from its folder. What
lies below the working folder::

    lease        locked (flock) while someone holds the device, with a line that says who
    blobs/       files by SHA-256; DIGEST.part is an upload that was cut off
    run-NAME/    the folder of one job; it goes with its supervisor, or with the next one

Requests: ``hello``, ``lease``, ``have``, ``append``, ``link``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import sys
import time
import traceback
from typing import Any, Dict, Iterator, List, Mapping, Tuple

import numpy as np

from . import protocol, serve
from .errors import AgentError, one_line

Answer = Tuple[Dict[str, Any], Dict[str, np.ndarray]]
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
RUN = re.compile(r"run-[0-9a-f]{8,32}")
DIGEST = re.compile(r"[0-9a-f]{64}")
AGENT = re.compile(r"agent-[0-9a-f]{16}\.pyz(\.[0-9]+)?")  # the folder may hold what is not ours
OLD_S = 86400.0  # how long the start of an upload, or another version's agent, is kept
WHO_MAX = 200


class Supervisor:
    """State of one supervisor process: the lock it holds and the folder it made."""

    def __init__(self, work: str) -> None:
        self._work = work
        self._blobs = os.path.join(work, "blobs")
        self._lock = -1
        self._run = ""
        self._requests = {
            "hello": serve.hello, "lease": self.lease, "have": self.have,
            "append": self.append, "link": self.link,
        }  # fmt: skip

    def answer(self, request: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
        """The frame that answers a request. Never raises: errors cross as records."""
        name = str(request.get("do"))[:40]
        try:
            fields, reply_arrays = self._requests[name](dict(request, **{"arrays": arrays}))
            return protocol.pack({"ok": fields}, reply_arrays)
        except AgentError as error:
            return protocol.pack({"error": error.record()})
        except BaseException as error:
            traceback.print_exc(file=sys.stderr)
            return protocol.pack(
                {"error": AgentError("DeviceError", one_line(error), name).record()}
            )

    def leave(self) -> None:
        """Remove the job's folder. The kernel drops the lock."""
        if self._run:
            shutil.rmtree(self._run, ignore_errors=True)

    def used(self) -> None:
        """Nothing: the supervisor's own requests tell it that the host is there."""

    def is_used(self, within_s: float) -> bool:
        """Whether an agent of the job answered lately; each one touches the job's folder."""
        try:
            return bool(self._run) and time.time() - os.stat(self._run).st_mtime < within_s
        except OSError:
            return False

    def lease(self, request: Mapping[str, Any]) -> Answer:
        """Take the device unless another holds it: ``{"held", "by"}``; sweep up after the dead."""
        if not RUN.fullmatch(str(request["run"])):
            raise AgentError("DeviceError", "no name for a job's folder", "lease")
        with _writing(self._work):
            os.makedirs(self._blobs, mode=0o700, exist_ok=True)
            handle = os.open(os.path.join(self._work, "lease"), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                by = os.read(handle, WHO_MAX).decode("utf-8", "replace")
                os.close(handle)
                return {"held": False, "by": by}, {}
            self._lock = handle
            os.ftruncate(handle, 0)
            os.write(handle, str(request["who"]).encode()[:WHO_MAX])
            self._sweep(int(request["keep_bytes"]))
            self._run = os.path.join(self._work, str(request["run"]))
            os.mkdir(self._run, 0o700)
        return {"held": True, "by": ""}, {}

    def have(self, request: Mapping[str, Any]) -> Answer:
        """How many bytes of each blob (``{digest: size}``) are here; whole ones are read again."""
        self._holding()
        offsets: Dict[str, int] = {}
        for digest, size in request["blobs"].items():
            whole, part = self._paths(digest)
            if os.path.isfile(whole):
                if _sha256(whole) == digest:
                    os.utime(whole)
                    offsets[digest] = size
                    continue
                os.unlink(whole)
            offsets[digest] = os.path.getsize(part) if os.path.isfile(part) else 0
            if offsets[digest] >= size and os.path.isfile(part):
                os.unlink(part)
                offsets[digest] = 0
        return {"offsets": offsets}, {}

    def append(self, request: Mapping[str, Any]) -> Answer:
        """Add ``data`` to a blob at ``offset``; ``whole`` once all is there and its digest right.

        A digest that is wrong drops the upload: ``at`` is 0 then.
        """
        self._holding()
        whole, part = self._paths(request["blob"])
        data, offset, size = request["arrays"]["data"], int(request["offset"]), int(request["size"])
        with _writing(whole, part):
            with open(part, "ab") as file:
                if file.tell() != offset:
                    raise AgentError("DeviceError", "upload continues at the wrong offset", whole)
                file.write(data.tobytes())
                at = file.tell()
                if at == size:
                    file.flush()
                    os.fsync(file.fileno())
            if at < size:
                return {"at": at, "whole": False}, {}
            if at > size or _sha256(part) != request["blob"]:
                os.unlink(part)
                return {"at": 0, "whole": False}, {}
            os.replace(part, whole)
        return {"at": at, "whole": True}, {}

    def link(self, request: Mapping[str, Any]) -> Answer:
        """Lay blobs into the job's folder, under their digests."""
        self._holding()
        with _writing(self._run):
            for digest in request["blobs"]:
                whole, _ = self._paths(digest)
                target = os.path.join(self._run, digest)
                if os.path.exists(target):
                    continue
                try:
                    os.link(whole, target)
                except OSError:
                    shutil.copyfile(whole, target)
        return {}, {}

    def _holding(self) -> None:
        if self._lock < 0:
            raise AgentError("DeviceError", "the device is not leased", "supervisor")

    def _paths(self, digest: Any) -> Tuple[str, str]:
        if not DIGEST.fullmatch(str(digest)):
            raise AgentError("DeviceError", "no digest: {!r}".format(digest)[:100], "supervisor")
        whole = os.path.join(self._blobs, str(digest))
        return whole, whole + ".part"

    def _sweep(self, keep_bytes: int) -> None:
        """Remove folders of jobs that died, old parts, and the blobs longest unused."""
        for name in os.listdir(self._work):
            path = os.path.join(self._work, name)
            if RUN.fullmatch(name):
                shutil.rmtree(path, ignore_errors=True)
            elif AGENT.fullmatch(name) and path != sys.argv[0] and _old(path):
                os.unlink(path)
        blobs: List[Tuple[float, int, str]] = []
        for name in os.listdir(self._blobs):
            path = os.path.join(self._blobs, name)
            status = os.stat(path)
            if name.endswith(".part") and _old(path):
                os.unlink(path)
            else:
                blobs.append((status.st_mtime, status.st_size, path))
        held = 0
        for _, size, path in sorted(blobs, reverse=True):
            held += size
            if held > keep_bytes:
                os.unlink(path)


@contextlib.contextmanager
def _writing(where: str, part: str = "") -> Iterator[None]:
    """Turn an OSError into an AgentError; on a full disk ``part`` is given back."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise AgentError(
                "UnreachableError", "no room left on the device: {}".format(error.strerror), where,
                "free some space there, or point 'workdir' to another disk",
            ) from error  # fmt: skip
        raise AgentError(
            "UnreachableError", "cannot write on the device: {}".format(error.strerror), where,
            "point 'workdir' to a folder that the user there may write to",
        ) from error  # fmt: skip


def _old(path: str) -> bool:
    return time.time() - os.stat(path).st_mtime > OLD_S


def _sha256(path: str) -> str:
    made = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            made.update(chunk)
    return made.hexdigest()
