"""What is trained: a network laid out for speed, and its loss, as one module."""

from __future__ import annotations

from typing import Any

from edgeopt.training.samples import Batch, Samples


def lay_out(module: Any, samples: Samples, layout: Any) -> None:
    """Arrange the weights of a network on images in memory.

    Channels last is faster for convolutions, on CPUs and on tensor cores.
    """
    images = any(array.ndim == 4 for array in samples.inputs.values())
    if images and all(each.ndim != 5 for each in module.state_dict().values()):
        module.to(memory_format=layout)


def objective_of(module: Any, loss: Any) -> Any:
    """Module and loss as one module: what is trained, saved, and shared between processes."""
    import torch

    class Objective(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module, self.loss = module, loss

        def forward(self, batch: Batch) -> Any:
            return self.loss(self.module, batch)

    return Objective()
