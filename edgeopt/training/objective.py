"""What is trained: a network laid out for speed, and its loss, as one module."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from edgeopt.training.calls import called
from edgeopt.training.samples import Batch, Samples


def lay_out(module: Any, samples: Samples) -> bool:
    """Arrange the weights of a network on images channels last in memory, if it runs so.

    That is faster for convolutions, on CPUs and on tensor cores. A network whose ``forward``
    relies on the other order (``view`` behind a convolution) stays as it is, and so does one with
    group norm: torch 2.13 crashes in its gradient where the input needs none. True if arranged.
    """

    class Watch(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), named: Any = None):  # type: ignore[no-untyped-def]
            if function is torch.nn.functional.group_norm:
                raise RuntimeError("group norm")
            return function(*args, **(named or {}))

    images = any(array.ndim == 4 for array in samples.inputs.values())
    if not images or any(each.ndim == 5 for each in module.state_dict().values()):
        return False
    before = {name: each.clone() for name, each in module.named_buffers()}
    training = [each for each in module.modules() if each.training]
    module.to(memory_format=torch.channels_last).eval()
    try:
        device = next((p.device for p in module.parameters()), torch.device("cpu"))
        few = samples.take(np.arange(min(2, len(samples)))).inputs
        with torch.no_grad(), Watch():
            called(module, {name: channels_last(x.to(device)) for name, x in few.items()})
    except RuntimeError:  # any other reason comes again, where it is told
        lay_back(module)
        return False
    finally:
        for each in training:
            each.training = True
        for name, each in module.named_buffers():
            each.copy_(before[name])
    return True


def lay_back(module: Any) -> None:
    """Undo ``lay_out``."""
    module.to(memory_format=torch.contiguous_format)


def channels_last(x: Any) -> Any:
    """A batch of images arranged as ``lay_out`` arranges weights; others as they are."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def objective_of(module: Any, loss: Any) -> Any:
    """Module and loss as one module: what is trained, saved, and shared between processes."""

    class Objective(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module, self.loss = module, loss

        def forward(self, batch: Batch) -> Any:
            return self.loss(self.module, batch)

    return Objective()


def weights_digest(module: Any) -> str:
    """The SHA-256 of all weights and buffers of a module."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(f"{name}{value.dtype}{tuple(value.shape)}".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
