"""Typed errors: what failed, where, what to do next, and an exit code.

They cross processes as JSON (``record`` and ``from_record``). The tree::

    EdgeoptError            exit 1
      UsageError            exit 2   wrong call or recipe
        RecipeError                  names the file and line
        PlanError                    no chain of passes can work, with the reason
        ConsentError                 tool environments are missing, and nobody said to make them
      ModelError                     a model file cannot be opened or is not sound
      DataError                      data is missing, malformed or overlaps
      StoreError                     the store cannot be read or written
      PassError                      a pass refused its input or made a bad model
      PluginError                    code of a metric, view, format, runtime or pass is wrong
      EnvironmentMissingError        a tool environment cannot be made
      WorkerError                    a worker crashed, hung or outgrew its limit
      DeviceError                    a target cannot be reached or measured
        PlacementError               nodes ran where nobody asked
        UnreachableError             the device as a whole cannot be used
"""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable
from typing import Any

LONGEST, LONGEST_PLACE = 3000, 600  # characters; libraries put whole models into their messages


class EdgeoptError(Exception):
    """Base of every error that edgeopt raises on purpose."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what = shortened(what, LONGEST)
        self.where = shortened(where, LONGEST_PLACE)
        self.hint = shortened(hint, LONGEST)
        super().__init__(self.what)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[Any, ...]:
        return (from_record, (self.record(),))

    def record(self) -> dict[str, str]:
        """JSON form: class name, what, where, hint."""
        return {
            "type": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "hint": self.hint,
        }


class UsageError(EdgeoptError):
    """A wrong call: exit 2, as click's own."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe that cannot be read; ``where`` is ``FILE:LINE``."""


class PlanError(UsageError):
    """Nothing that the recipe allows can work on a target."""


class ConsentError(UsageError):
    """Tool environments are missing, and nobody said that they may be made."""


class ModelError(EdgeoptError):
    """A model that cannot be opened, described or run."""


class DataError(EdgeoptError):
    """Data that is missing, malformed, empty, overlapping or of the wrong shape."""


class StoreError(EdgeoptError):
    """The store cannot be read, written or trusted."""


class PassError(EdgeoptError):
    """A pass that refuses its input, or whose output is not what it promised."""


class PluginError(EdgeoptError):
    """A metric, view, format, runtime or pass, built in or added, that breaks its contract."""


class EnvironmentMissingError(EdgeoptError):
    """A tool environment that is not there and cannot be made."""


class WorkerError(EdgeoptError):
    """A worker that crashed, hung or outgrew its memory limit."""


class DeviceError(EdgeoptError):
    """A target that cannot be reached, or an agent that failed."""


class PlacementError(DeviceError):
    """Nodes ran on a provider that nobody allowed."""


class UnreachableError(DeviceError):
    """A device that cannot be used at all: no connection, no agent, or held by another."""


def is_loss(error: dict[str, str] | None) -> bool:
    """Whether a recorded error says that a worker, agent or device was lost, and nothing of the
    model that it worked on."""
    return error is not None and error.get("type") in _LOSSES


_LOSSES = {WorkerError.__name__, DeviceError.__name__, UnreachableError.__name__}


def from_record(record: dict[str, Any]) -> EdgeoptError:
    """The error a record was made of; an unknown type becomes its base class."""
    kinds = {kind.__name__: kind for kind in _tree(EdgeoptError)}
    kind = kinds.get(str(record.get("type")), EdgeoptError)
    return kind(
        str(record.get("what", "unknown error")),
        where=str(record.get("where", "")),
        hint=str(record.get("hint", "")),
    )


def of_file(error: OSError) -> EdgeoptError:
    """What the system says of a file or folder: a name that cannot be one is a wrong call."""
    what = error.strerror or str(error) or type(error).__name__
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if name is not None]
    kind = UsageError if error.errno in (errno.ENAMETOOLONG, errno.ELOOP) else EdgeoptError
    return kind(what, where=" and ".join(map(str, names)))


def is_out_of_memory(raised: BaseException | None) -> bool:
    """Whether memory, or the address space that ``ulimit -v`` leaves, was what was lacking.

    Libraries with a core in another language, and the loader of such a core, say it in words.
    """
    while raised is not None:
        if isinstance(raised, MemoryError) or getattr(raised, "errno", 0) == errno.ENOMEM:
            return True
        if any(words in str(raised)[:LONGEST] for words in _NO_MEMORY):
            return True
        raised = raised.__cause__ or raised.__context__
    return False


_NO_MEMORY = (
    os.strerror(errno.ENOMEM), "failed to map segment from shared object", "std::bad_alloc",
    "can't start new thread",
)  # fmt: skip
MORE_MEMORY = "free some memory, or raise the limit of the address space (ulimit -v)"


def shortened(text: str, most: int) -> str:
    """The text, or its first and its last part where it has more than ``most`` characters."""
    if len(text) <= most:
        return text
    room = most - 40  # for what stands in between
    first, last = room * 2 // 3, room // 3
    cut = f" [... {len(text) - first - last:,} characters ...] "
    return f"{text[:first]}{cut}{text[-last:]}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``Did you mean ...?`` with the nearest known word, or the list of known words."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"Did you mean '{near[0]}'?"
    return f"Known: {', '.join(names)}." if names else ""


def _tree(kind: type[EdgeoptError]) -> list[type[EdgeoptError]]:
    return [kind, *(descendant for child in kind.__subclasses__() for descendant in _tree(child))]
