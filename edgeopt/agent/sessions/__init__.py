"""One file a runtime: its name is the runtime's name in a target.

Each file has a class ``Session``, ``load`` (sets the runtime up and tells its version) and
``accelerators`` (name in a target -> the device behind it, of those found here). It loads the
runtime and is itself imported only when that is asked for, so that a hello costs nothing: which
packages bring a runtime is said here. ``peak`` is there where the runtime tells the bytes that it
took on an accelerator.
"""

from __future__ import annotations

import importlib
import sys
from importlib import metadata
from typing import Any, Dict, List, Mapping, Protocol, Tuple

import numpy as np

from ..errors import AgentError, one_line

DISTRIBUTIONS = {
    "litert": ("ai-edge-litert", "tflite-runtime"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"),
    "openvino": ("openvino",),
    "torch": ("torch",),
}  # runtime, which is the name of its file -> packages that bring it


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
    return sorted(DISTRIBUTIONS)


def versions() -> Dict[str, str]:
    """Version of each runtime that is installed, from metadata alone."""
    found = {name: version(name) for name in names()}
    return {name: said for name, said in found.items() if said}


def missing() -> Dict[str, str]:
    """Why each other runtime is not there."""
    here = "Python {}.{}".format(*sys.version_info[:2])
    return {
        name: "{} has none of: {}".format(here, ", ".join(DISTRIBUTIONS[name]))
        for name in names()
        if name not in versions()
    }


def version(name: str) -> str:
    """Version of the first installed package that brings a runtime; empty where none is."""
    for distribution in DISTRIBUTIONS[name]:
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return ""


def load(name: str, threads: int) -> Tuple[Any, str]:
    """The session module of a runtime, imported and set up, and its own version.

    Raises AgentError where the runtime is unknown, missing or does not import.
    """
    if name not in names():
        raise AgentError(
            "DeviceError", "no session for runtime '{}'".format(name), "agent",
            "known: {}".format(", ".join(names())),
        )  # fmt: skip
    try:
        module = importlib.import_module("{}.{}".format(__name__, name))
        return module, str(module.load(threads))
    except ImportError as error:
        raise AgentError(
            "DeviceError", "runtime '{}' does not import: {}".format(name, one_line(error)),
            "agent", "install it for the device's Python: pip install {}".format(
                DISTRIBUTIONS[name][0]
            ),
        ) from error  # fmt: skip
