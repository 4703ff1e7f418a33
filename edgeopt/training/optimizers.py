"""torch's optimizers by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch

from edgeopt.schema.errors import PassError, did_you_mean
from edgeopt.training_pass import TrainingSettings

UNFIT = ("optimizer", "lbfgs", "muon", "sparseadam")  # need closures, matrices, sparse gradients


def optimizer_of(parameters: Iterable[Any], settings: TrainingSettings) -> Any:
    """The optimizer that the settings name, in the spelling of ``torch.optim`` or in small.

    It gets rate, weight decay, and momentum (Nesterov's, with sgd) where it takes them. Raises
    PassError for a name that is none.
    """
    kinds = {
        name.lower(): kind
        for name, kind in vars(torch.optim).items()
        if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)
    }
    kinds = {name: kind for name, kind in kinds.items() if name not in UNFIT}
    kind = kinds.get(settings.optimizer.lower())
    if kind is None:
        raise PassError(
            f"torch.optim has no optimizer '{settings.optimizer}' that takes one step per batch",
            hint=did_you_mean(settings.optimizer.lower(), kinds),
        )
    wanted: dict[str, Any] = {
        "lr": settings.lr,
        "weight_decay": settings.weight_decay,
        "momentum": settings.momentum,
        "nesterov": settings.momentum > 0,
    }
    takes = inspect.signature(kind.__init__).parameters
    if kind is not torch.optim.SGD:
        wanted.pop("nesterov")
    return kind(list(parameters), **{k: v for k, v in wanted.items() if k in takes})
