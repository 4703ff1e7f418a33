"""LiteRT on an accelerator: its CompiledModel, asked for that accelerator alone.

The runtime counts the CPU among its accelerators: a model compiled for "NPU or CPU" calls itself
fully accelerated where all of it runs on the CPU. Only a model that compiles for the accelerator
alone is proven to run there; one that does not is compiled for both, and its placement says so.
"""

from __future__ import annotations

import importlib
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

from .errors import AgentError, one_line
from .sessions import nodes

MODULE = "ai_edge_litert.compiled_model"
KINDS = {name: each[0] for name, each in nodes("litert").items() if name != "cpu"}
REFUSED = "not accelerated"  # in the runtime's words, where operators would be left over
OR_CPU = " or CPU"  # the runtime does not tell which operators went where

Buffers = List[Any]


def present() -> bool:
    """Whether this LiteRT has compiled models."""
    try:
        importlib.import_module(MODULE)
    except ImportError:
        return False
    return True


class Compiled:
    """A compiled model; names and operators are those of ``plain``, the interpreter's session."""

    def __init__(self, path: str, accelerator: str, plain: Any) -> None:
        if accelerator not in KINDS or not present():
            raise AgentError(
                "DeviceError", "this LiteRT has no accelerator '{}'".format(accelerator), "litert",
                "accelerators need an ai-edge-litert with compiled models, such as 2.3",
            )  # fmt: skip
        self.inputs, self.outputs = plain.inputs, plain.outputs
        self._operators = int(plain.operators)
        self._model, self._place = _compile(path, KINDS[accelerator])
        signature = self._model.get_signature_by_index(0)
        self._into = [str(name) for name in signature["inputs"]]
        self._out = [str(name) for name in signature["outputs"]]
        key = str(signature["key"])
        details = self._model.get_output_tensor_details(key)
        self._shapes = [
            (details[name]["shape"], np.dtype(details[name]["dtype"])) for name in self._out
        ]
        self._buffers = (
            self._model.create_input_buffers(0), self._model.create_output_buffers(0)
        )  # fmt: skip

    def prepare(self, feeds: Mapping[str, np.ndarray]) -> List[np.ndarray]:
        """Arrays in the order of the signature's inputs."""
        if len(self._into) == 1:
            return [next(iter(feeds.values()))]
        return [feeds[name] for name in self._into]

    def call(self, prepared: List[np.ndarray]) -> List[np.ndarray]:
        """Copies in, runs, and reads the outputs, which waits for them."""
        taken, given = self._buffers
        for buffer, array in zip(taken, prepared):  # noqa: B905 - Python 3.8
            buffer.write(array)
        self._model.run_by_index(0, taken, given)
        return [
            buffer.read(int(np.prod(shape)), dtype).reshape(shape)
            for buffer, (shape, dtype) in zip(given, self._shapes)  # noqa: B905 - Python 3.8
        ]

    def arrays(self, result: List[np.ndarray]) -> List[np.ndarray]:
        """In the order of ``outputs``."""
        if set(self._out) == set(self.outputs):
            by_name = dict(zip(self._out, result))  # noqa: B905 - Python 3.8
            return [by_name[name] for name in self.outputs]
        return result

    def placement(self, prepared: List[np.ndarray]) -> Dict[str, int]:
        """All operators on the accelerator, or on it and the CPU, untold which."""
        return {self._place: self._operators}


def _compile(path: str, kind: str) -> Tuple[Any, str]:
    """The model compiled for an accelerator alone, or else for that and the CPU; where it runs.

    Raises AgentError where there is no such device.
    """
    hardware = importlib.import_module("ai_edge_litert.hardware_accelerator").HardwareAccelerator
    make = importlib.import_module(MODULE).CompiledModel.from_file
    wanted = getattr(hardware, kind)
    try:
        return make(path, hardware_accel=wanted), kind
    except Exception as error:  # RuntimeError, with the runtime's own words
        if REFUSED not in str(error):
            raise AgentError(
                "DeviceError", "LiteRT finds no {} that it can use: {}".format(
                    kind, one_line(error, 300)
                ),
                "litert", "a driver may be missing (GPU: Vulkan or OpenCL; NPU: the vendor's)",
            ) from error  # fmt: skip
    try:
        return make(path, hardware_accel=wanted | hardware.CPU), kind + OR_CPU
    except Exception as error:
        raise AgentError(
            "ModelError", "LiteRT cannot compile the model: {}".format(one_line(error)),
            "model.tflite", "check the model's operators against this version of the runtime",
        ) from error  # fmt: skip
