"""LiteRT's CompiledModel: asked for the CPU, or for an accelerator alone.

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
ON_CPU = nodes("litert")["cpu"][0]  # what it compiles to there, or one of the built-in kernels
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
    """A compiled model; names, sizes and operators are those of ``plain``, what the interpreter
    says of the file."""

    def __init__(self, path: str, accelerator: str, plain: Any, threads: int = 1) -> None:
        if accelerator not in (*KINDS, "cpu") or not present():
            what = "no accelerator '{}'".format(accelerator)
            what = "no compiled models" if accelerator == "cpu" else what
            raise AgentError(
                "DeviceError", "this LiteRT has {}".format(what), "litert",
                "it takes an ai-edge-litert with compiled models, such as 2.3",
            )  # fmt: skip
        self.inputs, self.outputs = plain.inputs, plain.outputs
        self._operators = int(plain.operators)
        if accelerator == "cpu":
            self._model, self._place = _for_cpu(path, threads), ON_CPU
        else:
            self._model, self._place = _compile(path, KINDS[accelerator])
        self._sizes: List[Tuple[int, ...]] = []
        signature = self._model.get_signature_by_index(0)
        self._into = [str(name) for name in signature["inputs"]]
        self._out = [str(name) for name in signature["outputs"]]
        self._key = str(signature["key"])
        self._resize(self._file_sizes(plain))

    def _file_sizes(self, plain: Any) -> List[Tuple[int, ...]]:
        """The sizes of each input, those that are fixed by now in place of free ones."""
        held = self._model.get_input_tensor_details(self._key)
        own = [tuple(int(n) for n in held[name]["shape"]) for name in self._into]
        self._sizes = list(own)
        named = {each["name"]: each["shape"] for each in plain.inputs}
        if set(named) != set(self._into):
            named = dict(zip(self._into, (each["shape"] for each in plain.inputs)))  # noqa: B905
        return [
            tuple(n if isinstance(n, int) else m for n, m in zip(named[name], sizes))  # noqa: B905
            for name, sizes in zip(self._into, own)  # noqa: B905 - Python 3.8
        ]

    def _resize(self, sizes: List[Tuple[int, ...]]) -> None:
        """Take inputs of these sizes; buffers are made anew."""
        for index, (size, old) in enumerate(zip(sizes, self._sizes)):  # noqa: B905 - Python 3.8
            if size != old:
                self._model.resize_input_tensor(index, list(size))
        self._sizes = sizes
        details = self._model.get_output_tensor_details(self._key)
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
        sizes = [array.shape for array in prepared]
        if sizes != self._sizes:
            self._resize(sizes)
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


def _for_cpu(path: str, threads: int) -> Any:
    """The model compiled for the CPU. Raises AgentError."""
    package = MODULE.partition(".")[0]
    try:
        hardware = importlib.import_module(package + ".hardware_accelerator").HardwareAccelerator
        options = importlib.import_module(package + ".options").Options
        cpu = importlib.import_module(package + ".cpu_options").CpuOptions(num_threads=threads)
        asked = options(hardware_accelerators=hardware.CPU, cpu_options=cpu)
        return importlib.import_module(MODULE).CompiledModel.from_file(path, options=asked)
    except ImportError as error:
        raise AgentError(
            "DeviceError", "this LiteRT cannot be told a number of threads: {}".format(
                one_line(error)
            ),
            "litert", "it takes an ai-edge-litert with options of compiled models, such as 2.3",
        ) from error  # fmt: skip
    except Exception as error:  # RuntimeError, with the runtime's own words
        raise AgentError(
            "ModelError", "LiteRT cannot compile the model: {}".format(one_line(error)),
            "model.tflite", "check the model's operators against this version of the runtime",
        ) from error  # fmt: skip


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
