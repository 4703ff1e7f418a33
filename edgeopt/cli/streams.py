"""Standard input, output and error as a command needs them: open, and typed where they fail.

A closed descriptor would be given to the next file that is opened, and a worker would write into
it: what is closed leads to ``/dev/null``. What cannot be written to standard output, such as a full
disk, is an OutputError; for standard error there is nobody to tell it to.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO


class OutputError(BaseException):
    """Standard output cannot be written. No library or plug-in may take it for its own error."""


def guard() -> None:
    """Make the standard streams safe. Those that a test or a caller put in place stay."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            _lead_nowhere(number)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _guarded(1, sys.__stdout__, _lost_output)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _guarded(2, sys.__stderr__, lambda error: None)


class _Guarded(io.FileIO):
    """A descriptor that leads nowhere once it has failed, after ``lost`` was told."""

    def __init__(self, number: int, lost: Callable[[OSError], None]) -> None:
        super().__init__(number, "w", closefd=False)
        self._lost = lost

    def write(self, data: object) -> int | None:  # type: ignore[override]
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BlockingIOError:
            raise
        except OSError as error:
            _lead_nowhere(self.fileno())
            self._lost(error)
        return memoryview(data).nbytes  # type: ignore[arg-type]


def _guarded(number: int, stream: TextIO | None, lost: Callable[[OSError], None]) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(_Guarded(number, lost)),
        encoding=stream.encoding if stream else "utf-8",
        errors=stream.errors if stream else "backslashreplace",
        line_buffering=number == 2 or os.isatty(number),
    )


def _lost_output(error: OSError) -> None:
    if isinstance(error, BrokenPipeError):  # whoever read it has gone, and wants no more
        raise OutputError
    raise OutputError(
        f"cannot write to standard output: {error.strerror or error}\n"
        "  make room, or send it elsewhere"
    )


def _lead_nowhere(number: int) -> None:
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)
