"""PyTorch, eager or compiled: the user's factory, weights from safetensors, inference mode."""

from __future__ import annotations

import inspect
import json
import os
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np
import torch

from .. import edits, weights
from ..errors import AgentError, one_line
from ..torch_runner import Runner, on_cuda
from ..user_code import imported, importing

CODES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
}  # fmt: skip


def load(threads: int) -> str:
    """Set torch's threads, which are the process's; its version."""
    torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != 1:
        torch.set_num_interop_threads(1)
    return str(torch.__version__)


def accelerators() -> Dict[str, str]:
    """Accelerator -> device, of those that torch finds."""
    found = {"cpu": "CPU"}
    if torch.cuda.is_available():
        found["cuda"] = str(torch.cuda.get_device_name())
    return found


def peak(reset: bool) -> int:
    """Most bytes that torch held on the GPU since the last reset; 0 where none is in use."""
    cuda: Any = torch.cuda
    if not cuda.is_initialized():
        return 0
    if reset:
        cuda.reset_peak_memory_stats()
    return int(cuda.max_memory_allocated())


class Session:
    """A folder with ``model.json`` and ``weights.safetensors`` and ``code/``, or a program.

    ``edits.json``, where it is there, says what is done to the module before the weights fit.

    ``mode`` is ``eager`` or ``compiled``; ``precision`` is what torch computes in: ``fp32``,
    ``tf32``, ``fp16`` or ``bf16``. Inputs and outputs keep the model's own types.
    """

    def __init__(
        self,
        folder: str,
        accelerator: str,
        threads: int,
        mode: str = "eager",
        precision: str = "fp32",
    ) -> None:
        if accelerator == "cuda":
            self.device = on_cuda()
            self.timed = self._timed
        elif accelerator != "cpu":
            raise AgentError("DeviceError", "no accelerator '{}' here".format(accelerator), "torch")
        with open(os.path.join(folder, "model.json"), encoding="utf-8") as file:
            record = json.load(file)
        if "program" in record:
            self._model = _program(os.path.join(folder, str(record["program"])))
        else:
            self._model = _build(os.path.join(folder, "code"), record["factory"])
            _edit(self._model, os.path.join(folder, "edits.json"))
            _fill(self._model, os.path.join(folder, "weights.safetensors"))
            self._model.eval()
        self.inputs = [
            {"name": name, "dtype": tensor["dtype"], "shape": tensor["shape"]}
            for name, tensor in record["inputs"].items()
        ]
        self.outputs = [str(name) for name in record["outputs"]]
        names = [str(name) for name in record["inputs"]]
        takes = _takes(self._model, names)
        positional = int(record.get("positional", 0 if takes else len(names)))
        cache = os.path.join(os.path.dirname(folder), "compiled")  # one lease's processes share it
        self._runner = Runner(
            self._model, names, positional, accelerator, mode, precision, cache
        )  # fmt: skip

    def prepare(self, feeds: Mapping[str, np.ndarray]) -> Dict[str, Any]:
        return self._runner.prepare(feeds)

    def call(self, prepared: Dict[str, Any]) -> Any:
        return self._runner.call(prepared)

    def _timed(self, feeds: Sequence[Dict[str, Any]]) -> List[int]:
        return self._runner.timed(feeds)

    def arrays(self, result: List[Any]) -> List[np.ndarray]:
        tensors = result
        if len(tensors) != len(self.outputs):
            raise AgentError(
                "ModelError",
                "the model gives {} outputs, not {}".format(len(tensors), len(self.outputs)),
                "model.json",
            )
        return [tensor.detach().cpu().numpy() for tensor in tensors]

    def placement(self, prepared: Dict[str, Any]) -> Dict[str, int]:
        """Operators per device in one run, as torch tells them."""
        return self._runner.placement(prepared)


def _program(path: str) -> Any:
    """An exported program, which the host has checked. Raises AgentError naming the file."""
    try:
        return torch.export.load(path).module()
    except Exception as error:  # the loader asserts, and raises what it meets
        raise AgentError(
            "ModelError", "torch cannot load the program: {}".format(one_line(error)),
            os.path.basename(path), "programs need a PyTorch as new as the one that exported them",
        ) from error  # fmt: skip


def _build(code: str, factory: str) -> Any:
    """Call ``FILE.py:NAME`` of the code folder. Raises AgentError naming the factory."""
    file, _, name = factory.partition(":")
    try:
        with importing([os.path.dirname(os.path.join(code, file)), code]):
            return getattr(imported(os.path.join(code, file)), name)()
    except Exception as error:  # the user's code may raise anything
        raise AgentError(
            "ModelError", "the factory failed: {}".format(one_line(error)), factory,
            "it must be callable without arguments and import only what the device has",
        ) from error  # fmt: skip


def _edit(model: Any, path: str) -> None:
    """Do to the module what the artifact's records say. Raises AgentError naming the record."""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            edits.replay(model, json.load(file), os.path.basename(path))


def _fill(model: Any, path: str) -> None:
    """Load every weight, none missing, none over. Raises AgentError naming the file."""
    state: Dict[str, Any] = {}
    with open(path, "rb") as file:
        for name, (code, shape, data) in weights.read(file, os.path.basename(path)).items():
            if code not in CODES:
                raise AgentError("ModelError", "torch has no type {}".format(code), name)
            dtype = getattr(torch, CODES[code])
            flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            state[name] = flat.reshape(shape)
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise AgentError(
            "ModelError", "the weights do not fit the factory: {}".format(one_line(error)),
            os.path.basename(path),
        ) from error  # fmt: skip


def _takes(model: Any, names: List[str]) -> bool:
    """Whether ``forward`` has parameters of these names; else they go by position."""
    return set(names) <= set(inspect.signature(model.forward).parameters)
