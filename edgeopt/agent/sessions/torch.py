"""PyTorch, eager: the user's factory, weights from safetensors, inference mode."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import itertools
import json
import os
import sys
import types
from typing import Any, Dict, Iterator, List, Mapping

import numpy as np

from .. import weights
from ..errors import AgentError, one_line

DISTRIBUTIONS = ("torch",)
CODES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
}  # fmt: skip

_COUNT = itertools.count()


def load(threads: int) -> str:
    """Import torch and set its threads, which are the process's; its version."""
    import torch

    torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != 1:
        torch.set_num_interop_threads(1)
    return str(torch.__version__)


class Session:
    """A folder with ``model.json`` and ``weights.safetensors`` and ``code/``, or a program."""

    def __init__(self, folder: str, accelerator: str, threads: int) -> None:
        if accelerator != "cpu":
            raise AgentError("DeviceError", "no accelerator '{}' here".format(accelerator), "torch")
        with open(os.path.join(folder, "model.json"), encoding="utf-8") as file:
            record = json.load(file)
        if "program" in record:
            self._model = _program(os.path.join(folder, str(record["program"])))
        else:
            self._model = _build(os.path.join(folder, "code"), record["factory"])
            _fill(self._model, os.path.join(folder, "weights.safetensors"))
            self._model.eval()
        self.inputs = [
            {"name": name, "dtype": tensor["dtype"], "shape": tensor["shape"]}
            for name, tensor in record["inputs"].items()
        ]
        self.outputs = [str(name) for name in record["outputs"]]
        names = [str(name) for name in record["inputs"]]
        takes = _takes(self._model, names)
        self._positional = int(record.get("positional", 0 if takes else len(names)))

    def prepare(self, feeds: Mapping[str, np.ndarray]) -> Dict[str, Any]:
        import torch

        return {name: torch.from_numpy(array) for name, array in feeds.items()}

    def call(self, prepared: Dict[str, Any]) -> Any:
        import torch

        with torch.inference_mode():
            if not self._positional:
                return self._model(**prepared)
            first = [prepared[tensor["name"]] for tensor in self.inputs[: self._positional]]
            rest = {t["name"]: prepared[t["name"]] for t in self.inputs[self._positional :]}
            return self._model(*first, **rest)

    def arrays(self, result: Any) -> List[np.ndarray]:
        import torch

        if isinstance(result, torch.Tensor):
            result = [result]
        elif isinstance(result, dict):
            result = list(result.values())
        tensors = list(result)
        if len(tensors) != len(self.outputs):
            raise AgentError(
                "ModelError",
                "the model gives {} outputs, not {}".format(len(tensors), len(self.outputs)),
                "model.json",
            )
        return [tensor.detach().cpu().numpy() for tensor in tensors]

    def placement(self, prepared: Dict[str, Any]) -> Dict[str, int]:
        """Operators per device, counted by torch's dispatcher in one run."""
        import torch
        from torch.utils._python_dispatch import TorchDispatchMode

        placed: Dict[str, int] = {}

        class Count(TorchDispatchMode):  # type: ignore[no-untyped-call]
            def __torch_dispatch__(
                self, func: Any, types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                result = func(*args, **(kwargs or {}))
                first = result[0] if isinstance(result, (tuple, list)) and result else result
                if isinstance(first, torch.Tensor):
                    placed[first.device.type] = placed.get(first.device.type, 0) + 1
                return result

        with Count():  # type: ignore[no-untyped-call]
            self.call(prepared)
        return placed


def _program(path: str) -> Any:
    """An exported program, which the host has checked. Raises AgentError naming the file."""
    import torch

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
        with _importing([os.path.dirname(os.path.join(code, file)), code]):
            return getattr(_imported(os.path.join(code, file)), name)()
    except Exception as error:  # the user's code may raise anything
        raise AgentError(
            "ModelError", "the factory failed: {}".format(one_line(error)), factory,
            "it must be callable without arguments and import only what the device has",
        ) from error  # fmt: skip


@contextlib.contextmanager
def _importing(bases: List[str]) -> Iterator[None]:
    """Find modules in these folders first; forget them again: two models may have a ``net.py``."""
    names = {os.path.splitext(entry)[0] for base in bases for entry in os.listdir(base)}

    def ours() -> List[str]:
        return [name for name in sys.modules if name.partition(".")[0] in names]

    hidden = {name: sys.modules.pop(name) for name in ours()}
    sys.path[:0] = bases
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for base in bases:
            sys.path.remove(base)
        for name in ours():
            del sys.modules[name]
        sys.modules.update(hidden)


def _imported(path: str) -> Any:
    """The module of a file, in a package of its own, so that relative imports resolve too."""
    package = types.ModuleType("_model_{}".format(next(_COUNT)))
    package.__path__ = [os.path.dirname(path)]
    sys.modules[package.__name__] = package
    name = "{}.{}".format(package.__name__, os.path.splitext(os.path.basename(path))[0])
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("{} is no Python file".format(os.path.basename(path)))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _fill(model: Any, path: str) -> None:
    """Load every weight, none missing, none over. Raises AgentError naming the file."""
    import torch

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
