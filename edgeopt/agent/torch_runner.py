"""Runs a torch module: on the CPU or a GPU, eager or compiled, in a precision."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from .errors import AgentError
from .torch_outputs import by_name

COMPILED = "Torch-Compiled Region"  # what torch's profiler calls a run of compiled code
NO_KERNELS = ("Memcpy", "Memset", COMPILED)  # what a profile has on a GPU beside kernels


class Runner:
    """A module that takes and gives tensors in host memory, whatever computes in between.

    On a GPU a call copies the inputs there and the outputs back, as an application must; its
    inputs lie in pinned memory. ``fp16`` and ``bf16`` convert the weights, once, and floating
    inputs and outputs in each call.
    """

    def __init__(
        self,
        model: Any,
        names: List[str],
        positional: int,
        accelerator: str,
        mode: str,
        precision: str,
        cache: str,
    ) -> None:
        self._names, self._positional = names, positional
        self._device, self._tf32 = accelerator, precision == "tf32"
        self._half = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision)
        self._model = model
        if accelerator != "cpu" or self._half:
            self._model = model.to(device=accelerator, dtype=self._half)
        self._compiled = mode == "compiled"
        self._run = _compiled(self._model, cache) if self._compiled else self._model

    def prepare(self, feeds: Mapping[str, np.ndarray]) -> Dict[str, Any]:
        """Tensors of the arrays, pinned where a GPU copies them."""
        tensors = {name: torch.from_numpy(array) for name, array in feeds.items()}
        if self._device == "cuda":
            return {name: tensor.pin_memory() for name, tensor in tensors.items()}
        return tensors

    def call(self, prepared: Dict[str, Any]) -> List[Any]:
        """Outputs in host memory, in their order."""
        with torch.inference_mode():
            return [self._back(tensor) for tensor in self._forward(self._there(prepared))]

    def timed(self, feeds: Sequence[Dict[str, Any]]) -> List[int]:
        """Nanoseconds of each call between two CUDA events on its stream, copies included."""
        taken = []
        for feed in feeds:
            make: Any = torch.cuda.Event
            start, end = make(enable_timing=True), make(enable_timing=True)
            start.record()
            self.call(feed)
            end.record()
            end.synchronize()
            taken.append(max(1, round(start.elapsed_time(end) * 1e6)))
        return taken

    def placement(self, prepared: Dict[str, Any]) -> Dict[str, int]:
        """Operators per device, counted by the dispatcher; of compiled code also its kernels."""
        with torch.inference_mode():
            there = self._there(prepared)
            if not self._compiled:
                return self._counted(there)
            self._forward(there)  # compiling is no part of the profile
            return self._profiled(there)

    def _there(self, prepared: Dict[str, Any]) -> Dict[str, Any]:
        """The inputs where and in which type the model takes them."""
        if self._device != "cpu":
            prepared = {n: t.to(self._device, non_blocking=True) for n, t in prepared.items()}
        if self._half is not None:
            half = self._half
            return {n: t.to(half) if t.is_floating_point() else t for n, t in prepared.items()}
        return prepared

    def _back(self, tensor: Any) -> Any:
        if tensor.dtype == self._half:
            tensor = tensor.float()
        return tensor.cpu()

    def _forward(self, feeds: Dict[str, Any], run: Any = None) -> List[Any]:
        """Outputs as a list, in their order."""
        run = run or self._run
        if self._device == "cuda":  # of the process, and a race may be between precisions
            torch.backends.cuda.matmul.allow_tf32 = self._tf32
            torch.backends.cudnn.allow_tf32 = self._tf32
        first = [feeds[name] for name in self._names[: self._positional]]
        rest = {name: feeds[name] for name in self._names[self._positional :]}
        return list(by_name(run(*first, **rest)).values())

    def _counted(self, feeds: Dict[str, Any]) -> Dict[str, int]:
        """Operators of the eager module by the device of their result."""
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
            self._forward(feeds, self._model)
        return placed

    def _profiled(self, feeds: Dict[str, Any]) -> Dict[str, int]:
        """Kernels on the GPU, or compiled regions on the CPU, from the profile of one run.

        Operators of the eager module that lie elsewhere are told too; ``eager`` counts its
        operators where nothing ran compiled.
        """
        placed = self._counted(feeds)
        activities = [ProfilerActivity.CPU]
        if self._device == "cuda":
            activities.append(ProfilerActivity.CUDA)
        with profile(activities=activities) as profiler:
            self._forward(feeds)
            if self._device == "cuda":
                torch.cuda.synchronize()
        events = list(profiler.events())
        regions = [event for event in events if event.name.startswith(COMPILED)]
        if not regions:
            return {"eager": sum(placed.values())}
        ran = sum(event.device_type.name == "CPU" for event in regions)
        if self._device == "cuda":
            kernels = [event for event in events if event.device_type.name == "CUDA"]
            ran = sum(not event.name.startswith(NO_KERNELS) for event in kernels)
        placed[self._device] = ran
        return {place: n for place, n in placed.items() if n}


def on_cuda() -> str:
    """Name of the GPU and its driver's CUDA. Raises AgentError where torch has none."""
    if not torch.cuda.is_available():
        built = torch.version.cuda
        raise AgentError(
            "DeviceError", "torch finds no CUDA device here", "torch",
            "this build is for CUDA {}: check the driver with nvidia-smi".format(built) if built
            else "this build is for the CPU alone: install one for CUDA",
        )  # fmt: skip
    return str(torch.cuda.get_device_name())


def _compiled(model: Any, cache: str) -> Any:
    """The module under torch.compile, which compiles in this process at the first call."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", cache)
    os.environ.setdefault("TRITON_CACHE_DIR", os.path.join(cache, "triton"))
    import torch._inductor.config as inductor  # slow, and eager code needs none

    inductor.compile_threads = 1  # no pool of processes beside what is timed
    return torch.compile(model)
