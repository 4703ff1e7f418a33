"""One file a runtime, and beside it what it declares: ``NAME.py`` and ``NAME.json``.

The name is the runtime's in a target. The code has a class ``Session``, ``load`` (set it up with
that many threads; its version) and ``accelerators`` (name in a target -> the device behind it, of
those found here); it imports the runtime only when told to, so that a hello costs nothing.
``peak`` is there where the runtime tells the bytes that it took on an accelerator.

Another distribution brings a runtime as a package with ``runtime.json``, which an entry point of
the group ``edgeopt.runtimes`` names; the host packs it for other machines as a folder of this one.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import pkgutil
import sys
from functools import lru_cache
from importlib import metadata
from typing import Any, Dict, List, Mapping, Optional, Protocol, Sequence, Tuple

import numpy as np

from ..errors import AgentError, one_line
from ..foreign import calling, fits, imported_at

GROUP = "edgeopt.runtimes"
PLUGGED = "runtime.json"  # the declaration of a runtime that is a package
METHODS = ("prepare", "call", "arrays", "placement")  # of a session
KEYS = ("distributions", "modules", "accelerators")  # of a declaration, that an agent reads


class Session(Protocol):
    """A model ready to run.

    ``inputs`` list ``{"name", "dtype", "shape"}``, a free dimension is a string; ``outputs``
    are names. ``prepare`` turns numpy feeds into what ``call`` takes (nothing that a user would
    have to do for each inference stays in ``call``); ``arrays`` turns its result into numpy.
    Samples and results of a ``call`` lie in host memory, also where an accelerator computes. Two
    more may be there: ``device``, what the accelerator calls itself, and ``timed(feeds)``, the
    nanoseconds of each call by the accelerator's own clock.
    """

    inputs: List[Dict[str, Any]]
    outputs: List[str]

    def prepare(self, feeds: Mapping[str, np.ndarray]) -> Any: ...

    def call(self, prepared: Any) -> Any: ...

    def arrays(self, result: Any) -> List[np.ndarray]: ...

    def placement(self, prepared: Any) -> Dict[str, int]: ...


def names() -> List[str]:
    """The runtimes that the agent has a session for."""
    return sorted({module.name for module in pkgutil.iter_modules(__path__)} | set(_plugged_in()))


@lru_cache(maxsize=None)
def declared(name: str) -> Dict[str, Any]:
    """What a runtime declares. Raises AgentError where the file is missing or says too little."""
    try:
        declaration = json.loads(_text(name))
        lacking = [key for key in KEYS if not declaration.get(key)]
    except (OSError, ValueError, AttributeError) as error:
        raise AgentError(
            "DeviceError", "no declaration of runtime '{}': {}".format(name, one_line(error)),
            "agent",
        ) from error  # fmt: skip
    if lacking:
        message = "the declaration of runtime '{}' lacks {}".format(name, ", ".join(lacking))
        raise AgentError("DeviceError", message, "agent")
    return dict(declaration)


def nodes(name: str) -> Dict[str, List[str]]:
    """Accelerator of a runtime -> where its nodes may run, in the runtime's words."""
    return {key: list(each["nodes"]) for key, each in declared(name)["accelerators"].items()}


def versions() -> Dict[str, str]:
    """Version of each runtime that is installed, from metadata alone."""
    return {name: said for name, (said, _) in _versions().items() if said}


def missing() -> Dict[str, str]:
    """Why each other runtime is not there."""
    return {name: why for name, (said, why) in _versions().items() if not said}


def version(distributions: Sequence[str]) -> str:
    """Version of the first of these packages that is installed; empty where none is."""
    for distribution in distributions:
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return ""


def imported(name: str) -> Any:
    """The runtime's module, by the first of its names that is there. Raises ImportError."""
    modules = declared(name)["modules"]
    for module in modules[:-1]:
        try:
            return importlib.import_module(module)
        except ImportError:
            continue
    return importlib.import_module(modules[-1])


def load(name: str, threads: int) -> Tuple[Any, str]:
    """The session module of a runtime, imported and set up, and its own version.

    Raises AgentError where the runtime is unknown, missing or does not import.
    """
    if name not in names():
        raise AgentError(
            "DeviceError", "no session for runtime '{}'".format(name), "agent",
            "known: {}".format(", ".join(names())),
        )  # fmt: skip
    distributions = declared(name)["distributions"]
    try:
        imported(name)
        module = _coded(name)
        _check(name, module, module, ("load", "accelerators", "Session"))
        with calling("load()", (name, module)):
            told = module.load(threads)
        fits(bool(told), "load()", name, module, told, "its version")
        return module, str(told)
    except ImportError as error:
        raise AgentError(
            "DeviceError", "runtime '{}' does not import: {}".format(name, one_line(error)),
            "agent", "install it for the device's Python: pip install {}".format(distributions[0]),
        ) from error  # fmt: skip


def open_session(
    name: str,
    module: Any,
    folder: str,
    accelerator: str,
    threads: int,
    settings: Mapping[str, Any],
    fixed: Optional[Mapping[str, Sequence[Optional[int]]]] = None,
) -> Session:
    """A session of a runtime, loaded before; ``fixed`` are the sizes of each input (None: any),
    for a runtime that declares ``fixes_shapes``. Raises AgentError where it lacks something, and
    for an accelerator that its declaration does not list."""
    known = declared(name)["accelerators"]
    if accelerator not in known:
        raise AgentError(
            "DeviceError", "runtime '{}' has no accelerator '{}'".format(name, accelerator),
            "agent", "it has: {}".format(", ".join(known)),
        )  # fmt: skip
    with calling("Session()", (name, module)):
        sizes = {"fixed": fixed} if fixed and declared(name).get("fixes_shapes") else {}
        session: Session = module.Session(folder, accelerator, threads, **sizes, **settings)
    _check(name, module, session, METHODS, "Session.")
    inputs, outputs = (getattr(session, each, None) for each in ("inputs", "outputs"))
    sound = isinstance(inputs, (list, tuple)) and all(map(_is_input, inputs)) and bool(inputs)
    fits(sound, "Session.inputs", name, module, inputs,
          "a list of {'name', 'dtype', 'shape'}, a shape of numbers and names")  # fmt: skip
    sound = isinstance(outputs, (list, tuple)) and all(isinstance(o, str) for o in outputs)
    fits(sound and bool(outputs), "Session.outputs", name, module, outputs, "a list of names")
    return session


def arrays_of(name: str, module: Any, session: Session, result: Any) -> List[np.ndarray]:
    """What a call gave, as arrays by output. Raises AgentError where these are not arrays."""
    with calling("arrays()", (name, module)):
        found = session.arrays(result)
    n = len(session.outputs)
    sound = isinstance(found, (list, tuple)) and all(isinstance(a, np.ndarray) for a in found)
    wanted = "a list of {} numpy arrays, one for each of its outputs".format(n)
    fits(sound and len(found) == n, "arrays()", name, module, found, wanted)
    return list(found)


def placed(name: str, module: Any, session: Session, prepared: Any) -> Dict[str, int]:
    """Nodes by where they ran. Raises AgentError where that is not what it tells."""
    with calling("placement()", (name, module)):
        found = session.placement(prepared)
    sound = isinstance(found, dict) and all(
        isinstance(where, str) and isinstance(n, int) for where, n in found.items()
    )
    fits(sound, "placement()", name, module, found, "a dictionary of counts by name")
    return found


def accelerators_of(name: str) -> Dict[str, str]:
    """What an installed runtime finds to run on. Raises AgentError."""
    module, _ = load(name, 1)
    with calling("accelerators()", (name, module)):
        found = module.accelerators()
    fits(isinstance(found, dict), "accelerators()", name, module, found,
          "a dictionary of devices by accelerator")  # fmt: skip
    return {str(key): str(told)[:200] for key, told in found.items()}


def _is_input(told: Any) -> bool:
    return (
        isinstance(told, dict)
        and isinstance(told.get("name"), str)
        and isinstance(told.get("dtype"), str)
        and isinstance(told.get("shape"), (list, tuple))
        and all(isinstance(n, (int, str)) for n in told["shape"])
    )


def _coded(name: str) -> Any:
    """The code of a runtime whose library is there. Raises AgentError where it does not import."""
    module = _package(name) or "{}.{}".format(__name__, name)
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        spec = importlib.util.find_spec(module)
        if spec is None or not spec.submodule_search_locations:  # of this folder
            raise
        message = "the code of the runtime '{}' does not import: {}".format(name, one_line(error))
        raise AgentError("PluginError", message, imported_at(error) or module) from error


def _check(name: str, module: Any, code: Any, needed: Sequence[str], prefix: str = "") -> None:
    """Raise AgentError for code of a runtime that lacks something."""
    absent = [prefix + each for each in needed if not callable(getattr(code, each, None))]
    if absent:
        raise AgentError(
            "PluginError", "the code of the runtime '{}' has no {}".format(name, ", ".join(absent)),
            getattr(module, "__file__", None) or name,
        )  # fmt: skip


def _versions() -> Dict[str, Tuple[str, str]]:
    """Runtime -> its version, empty where it is not installed, and why it is not."""
    here = "Python {}.{}".format(*sys.version_info[:2])
    installed: Dict[str, Tuple[str, str]] = {}
    for name in names():
        try:
            distributions = declared(name)["distributions"]
        except AgentError as error:
            installed[name] = "", error.what
            continue
        why = "{} has none of: {}".format(here, ", ".join(distributions))
        installed[name] = version(distributions), why
    return installed


def _package(name: str) -> Optional[str]:
    """The package of another distribution that is a runtime's code; None where it lies here."""
    here = [module.name for module in pkgutil.iter_modules(__path__)]
    return None if name in here else _plugged_in()[name]


def _text(name: str) -> bytes:
    """A declaration's bytes. Raises OSError."""
    package = _package(name)
    if package is None:
        for place in (name + ".json", name + "/" + PLUGGED):  # a file's, a packed package's
            with contextlib.suppress(OSError):
                return pkgutil.get_data(__name__, place) or b""
        raise FileNotFoundError(name + ".json")
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise FileNotFoundError("{} is not a package".format(package))
    with open(os.path.join(next(iter(folders)), PLUGGED), "rb") as file:
        return file.read()


def _plugged_in() -> Dict[str, str]:
    """Runtime -> package, of those that other distributions bring to this Python."""
    found: Any = metadata.entry_points()
    selected = found.select(group=GROUP) if hasattr(found, "select") else found.get(GROUP, ())
    return {entry.name: entry.value for entry in selected}
