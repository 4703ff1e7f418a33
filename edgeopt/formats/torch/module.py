"""A live module: its inputs by name, one run, what its outputs are called."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from edgeopt.agent.torch_outputs import by_name
from edgeopt.schema.errors import ModelError


def check_inputs(module: nn.Module, names: list[str], where: str) -> list[str]:
    """The inputs in the order of ``forward``'s parameters.

    Raises ModelError where a name is no parameter or a parameter is left without input.
    """
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(module.forward).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    takes = f"forward takes {', '.join(parameters) or 'nothing by name'}"
    for name in names:
        if name not in parameters:
            raise ModelError(f"the module has no input '{name}'; {takes}", where=where)
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in names:
            raise ModelError(f"no data for the module's input '{name}'; {takes}", where=where)
    return [name for name in parameters if name in names]


def example(inputs: Mapping[str, Mapping[str, Any]], batch: int) -> dict[str, np.ndarray]:
    """Zeros for each input, as many samples as asked for or as its shape fixes.

    A single number, which may be divided by, is its constant where that is said, else one.
    """
    return {
        name: np.full(
            [batch if n == "batch" else n for n in said["shape"]],
            0 if said["shape"] else said.get("constant", 1),
            said["dtype"],
        )
        for name, said in inputs.items()
    }


def run(module: nn.Module, feeds: Mapping[str, np.ndarray], where: str) -> dict[str, np.ndarray]:
    """Outputs by name in evaluation mode. Raises ModelError with the module's own words.

    One that is called like an input is ``NAME_output``: formats tell tensors apart by names.
    """
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in feeds.items()}
    try:
        with torch.inference_mode():
            outputs = module(**tensors)
    except Exception as error:
        shapes = ", ".join(f"{k} {list(v.shape)} {v.dtype}" for k, v in feeds.items())
        raise ModelError(
            f"the module cannot run on {shapes}: {type(error).__name__}: {error}", where=where
        ) from error
    return {
        f"{name}_output" if name in feeds else name: value.numpy()
        for name, value in named_outputs(outputs, where).items()
    }


def macs(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> int:
    """Multiply-accumulates of one run, half of what torch's own FLOP counter counts.

    Fused encoder layers, attention and recurrent layers, which it cannot look into, are switched
    off meanwhile.
    """
    was, training = torch.backends.mha.get_fastpath_enabled(), module.training
    torch.backends.mha.set_fastpath_enabled(False)
    module.eval()
    try:
        with (
            warnings.catch_warnings(action="ignore"),  # of other hardware's settings
            torch.backends.mkldnn.flags(enabled=False),
            sdpa_kernel(SDPBackend.MATH),
            FlopCounterMode(display=False) as counter,
            torch.no_grad(),
        ):
            module(**tensors)
    finally:
        torch.backends.mha.set_fastpath_enabled(was)
        module.train(training)
    return int(counter.get_total_flops()) // 2


def named_outputs(outputs: Any, where: str) -> dict[str, torch.Tensor]:
    """Tensors by name, as ``agent.torch_outputs`` calls them.

    Raises ModelError for anything else than tensors and None, and for no tensor at all.
    """
    try:
        named = by_name(outputs)
    except TypeError as error:
        raise ModelError(str(error), where=where) from error
    if not named:
        raise ModelError("forward returns no tensor", where=where)
    return named


def flat(module: nn.Module) -> nn.Module:
    """The module itself, whose ``forward`` from now on gives a tuple of its tensors.

    What exporters cannot take is gone: dataclasses and None.
    """
    forward = module.forward

    @wraps(forward)
    def flattened(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, ...]:
        return tuple(named_outputs(forward(*args, **kwargs), "forward").values())

    module.forward = flattened
    return module
