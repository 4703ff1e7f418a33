"""ONNX Runtime: explicit providers, sequential, no spinning."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import onnxruntime

from ..errors import AgentError, one_line
from ..onnx_inputs import free_sizes
from ..profiled import repeats
from ..providers import CPU, Providers, offered

FILE = "model.onnx"
KERNEL = "_kernel_time"  # what the profile adds to a node's name
DTYPES = {
    "tensor(bool)": "bool", "tensor(int8)": "int8", "tensor(int16)": "int16",
    "tensor(int32)": "int32", "tensor(int64)": "int64", "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16", "tensor(uint32)": "uint32", "tensor(uint64)": "uint64",
    "tensor(float16)": "float16", "tensor(float)": "float32", "tensor(double)": "float64",
}  # fmt: skip


def load(threads: int) -> str:
    """Quiet; its version. Threads belong to the session here."""
    onnxruntime.set_default_logger_severity(3)
    return str(onnxruntime.__version__)


def accelerators() -> Dict[str, str]:
    """Accelerator -> provider, of those that this build or a plug-in of it offers here."""
    return offered()


class Session:
    """``model.onnx`` of a folder, with its external data beside it.

    ``fixed`` are the sizes that each input will have, None for one that stays free: the runtime
    is told of those that have a name in the file. The CPU is the last provider of every session:
    what an accelerator does not take runs there, and ``placement`` tells. ``int8`` and ``opt`` are
    settings of its declaration.
    """

    def __init__(
        self,
        folder: str,
        accelerator: str,
        threads: int,
        fixed: Optional[Mapping[str, Sequence[Optional[int]]]] = None,
        int8: str = "auto",
        opt: str = "all",
    ) -> None:
        self._int8, self._opt = int8, opt
        self._path = os.path.join(folder, FILE)
        self._threads = threads
        self._providers = Providers(accelerator, threads)
        self.device = self._providers.device
        self._sizes = free_sizes(self._path, fixed) if fixed else {}
        self._session = self._opened()
        self.inputs = [_described(tensor) for tensor in self._session.get_inputs()]
        self.outputs = [str(tensor.name) for tensor in self._session.get_outputs()]

    def prepare(self, feeds: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        return dict(feeds)

    def call(self, prepared: Dict[str, np.ndarray]) -> Any:
        return self._session.run(None, prepared)

    def arrays(self, result: Any) -> List[np.ndarray]:
        return [np.asarray(array) for array in result]

    def placement(self, prepared: Dict[str, np.ndarray]) -> Dict[str, int]:
        """Nodes per provider, from the runtime's own profile of one run.

        The profile is taken of a second session with the same options, so that the one
        that is timed never carries a profiler.
        """
        nodes = {
            (name, str(said.get("provider") or "unknown"))
            for name, said in self._profiled(prepared, self._options())
        }
        placed: Dict[str, int] = {}
        for _, provider in sorted(nodes):
            placed[provider] = placed.get(provider, 0) + 1
        return placed

    def executed(self, prepared: Dict[str, np.ndarray], graph: str) -> List[Dict[str, Any]]:
        """The nodes of one run: ``{"name", "op", "inputs", "outputs", "seconds"}``, (dtype, shape)
        each. ``seconds`` is the median over the runs of a profile, None where runs differ.

        Weights that a kernel has packed for itself are missing among the inputs. ``graph`` is
        where the runtime writes the graph that it made of the file.
        """
        options = self._options()
        options.optimized_model_filepath = graph
        return [
            {
                "name": name,
                "op": str(said.get("op_name")),
                "inputs": _typed(said.get("input_type_shape")),
                "outputs": _typed(said.get("output_type_shape")),
                "seconds": said.get("seconds"),
            }
            for name, said in self._profiled(prepared, options, timed=True)
        ]

    def _profiled(
        self, prepared: Dict[str, np.ndarray], options: Any, timed: bool = False
    ) -> List[Tuple[str, Any]]:
        """Name of each kernel of one run in a session of its own, and what the profile says."""
        with tempfile.TemporaryDirectory(prefix="profile-") as folder:
            options.enable_profiling = True
            options.profile_file_prefix = os.path.join(folder, "run")
            session = self._make(options)
            runs = 1 + (repeats(lambda: session.run(None, prepared)) if timed else 0)
            session.run(None, prepared)
            with open(session.end_profiling(), encoding="utf-8") as file:
                events = json.load(file)
        kernels = [
            event
            for event in events
            if event.get("cat") == "Node" and str(event.get("name")).endswith(KERNEL)
        ]
        each = len(kernels) // runs
        alike = timed and [e["name"] for e in kernels] == [e["name"] for e in kernels[:each]] * runs
        if alike:
            for place, event in enumerate(kernels[:each]):
                spent = [kernels[place + run * each].get("dur", 0) for run in range(1, runs)]
                event.setdefault("args", {})["seconds"] = float(np.median(spent)) / 1e6
            kernels = kernels[:each]
        return [(str(e["name"])[: -len(KERNEL)], e.get("args", {})) for e in kernels]

    def _opened(self) -> Any:
        """The session to run, of free sizes where the file does not do with fixed ones."""
        if self._sizes:
            with contextlib.suppress(AgentError):
                return self._make(self._options())
            self._sizes = {}
        return self._make(self._options())

    def _options(self) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        options.graph_optimization_level = getattr(
            onnxruntime.GraphOptimizationLevel, "ORT_ENABLE_{}".format(self._opt.upper())
        )
        if self._int8 == "allowed":
            options.add_session_config_entry("session.qdqisint8allowed", "1")
        for name, size in self._sizes.items():
            options.add_free_dimension_override_by_name(name, size)
        return options

    def _make(self, options: Any) -> Any:
        try:
            if self._providers.devices:
                options.add_provider_for_devices(self._providers.devices, self._providers.options)
                return onnxruntime.InferenceSession(self._path, options)
            listed = [*self._providers.listed, (CPU, {})]
            return onnxruntime.InferenceSession(self._path, options, providers=listed)
        except Exception as error:  # the runtime's classes are not public
            raise AgentError(
                "ModelError", "ONNX Runtime cannot load the model: {}".format(one_line(error)),
                FILE, "check the model's operators and opset against this version of the runtime",
            ) from error  # fmt: skip


def _typed(given: Any) -> List[Tuple[str, List[int]]]:
    """(numpy dtype, shape) of each tensor that a profile lists as {type: shape}."""
    listed = [next(iter(one.items())) for one in given or []]
    return [(DTYPES.get("tensor({})".format(kind), kind), shape) for kind, shape in listed]


def _described(tensor: Any) -> Dict[str, Any]:
    """Name, numpy dtype and shape; a dimension without a size is its name or ``?``."""
    dtype = DTYPES.get(tensor.type)
    if dtype is None:
        raise AgentError("ModelError", "tensor has type {}".format(tensor.type), tensor.name)
    shape = [n if isinstance(n, int) else str(n or "?") for n in tensor.shape]
    return {"name": tensor.name, "dtype": dtype, "shape": shape}
