"""What the code of another distribution's runtime raises or tells: named by runtime and method."""

from __future__ import annotations

import contextlib
import importlib
import os
import traceback
from typing import Any, Iterator, List, Tuple

from .errors import AgentError, one_line

OF_RUNTIMES = ("load()", "accelerators()")  # whose failure is no model's


@contextlib.contextmanager
def calling(what: str, *runtimes: Tuple[str, Any]) -> Iterator[None]:
    """Name the runtime of another distribution, its method, file and line in what it raises.

    ``runtimes`` are names and modules of those that are called. What those of this folder raise
    stays as it is: it is the library's own.
    """
    try:
        yield
    except AgentError:
        raise
    except (Exception, SystemExit) as error:
        plugged = [(name, module) for name, module in runtimes if _is_plugged(module)]
        inside = [each for each in plugged if _frames(error, each[1])]
        if (not inside and len(runtimes) > 1) or not plugged:
            raise
        name, module = (inside or plugged)[0]
        raise _failed(what, name, module, error) from error


def _failed(what: str, name: str, module: Any, error: BaseException) -> AgentError:
    frames = _frames(error, module)
    place = "{0.filename}:{0.lineno} ({0.name})".format(frames[-1]) if frames else module.__file__
    kind = "DeviceError" if what in OF_RUNTIMES else "ModelError"
    message = "{} of the runtime '{}' failed: {}".format(what, name, one_line(error))
    return AgentError(kind, message, hint="raised in {}".format(place))


def _frames(error: BaseException, module: Any) -> List[traceback.FrameSummary]:
    """The frames of an error that are of a runtime's own code."""
    home = os.path.dirname(os.path.abspath(module.__file__)) + os.sep
    every = traceback.extract_tb(error.__traceback__)
    return [frame for frame in every if os.path.abspath(frame.filename).startswith(home)]


def _is_plugged(module: Any) -> bool:
    """Whether a runtime's code is another distribution's: these are packages, also if packed."""
    return hasattr(module, "__path__")


def fits(sound: bool, what: str, name: str, module: Any, told: Any, wanted: str) -> None:
    """Raise AgentError where what a runtime's code tells is of no use."""
    if not sound:
        message = "{} of the runtime '{}' is {:.200}, not {}".format(what, name, repr(told), wanted)
        raise AgentError("PluginError", message, getattr(module, "__file__", None) or name)


def imported_at(error: BaseException) -> str:
    """File and line that an import failed in; empty where nothing was found to import."""
    if isinstance(error, SyntaxError):
        return "{}:{}".format(error.filename, error.lineno)
    frames = traceback.extract_tb(error.__traceback__)[1:]
    own = [f for f in frames if not f.filename.startswith("<") and f.filename != importlib.__file__]
    return "{0.filename}:{0.lineno}".format(own[-1]) if own else ""
