"""State dicts: read without running pickled code, fitted to a module, written."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from edgeopt.schema.errors import ModelError

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "weights")
PREFIXES = ("module.", "_orig_mod.", "model.")  # DataParallel, torch.compile, Lightning
SHOWN = 5  # keys of one kind that an error names
SAVE_SAFELY = "Save model.state_dict() with safetensors.torch.save_file and name that file."


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file or of a torch.save file read with weights_only.

    A checkpoint that wraps the state dict is unwrapped. Raises ModelError, naming the file.
    """
    if path.suffix == ".safetensors":
        try:
            state: Any = load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(f"not a safetensors file: {error}", where=str(path)) from error
        return dict(state)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            "holds pickled Python objects, not tensors alone; loading them would run their code",
            where=str(path),
            hint=SAVE_SAFELY,
        ) from error
    except Exception as error:  # a truncated zip, a TorchScript archive, any other file
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"not a state dict: {first}", where=str(path), hint=SAVE_SAFELY) from error
    return _unwrapped(state, path)


def fit(module: nn.Module, state: Mapping[str, torch.Tensor], where: str) -> None:
    """Load a state dict whole, prefixes of wrappers taken off.

    Raises ModelError that names missing, unexpected and mis-shaped keys. Counters of batch
    norms may be missing: they steer training only.
    """
    expected = module.state_dict()
    state = _without_prefix(state, set(expected))
    missing = [k for k in expected if k not in state and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in state if k not in expected]
    shapes = [
        f"{key} ({list(state[key].shape)} instead of {list(expected[key].shape)})"
        for key in expected
        if key in state and state[key].shape != expected[key].shape
    ]
    faults = [
        f"{what} {', '.join(keys[:SHOWN])}"
        + (f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else "")
        for what, keys in (("missing", missing), ("unexpected", unexpected), ("shapes", shapes))
        if keys
    ]
    if faults:
        raise ModelError(
            f"the weights do not fit the factory's module: {'; '.join(faults)}",
            where=where,
            hint="Factory and weights must belong to the same network.",
        )
    module.load_state_dict(dict(state), strict=False)


def write_state(module: nn.Module, path: Path) -> None:
    """Write a module's state dict; equal weights give equal bytes."""
    state = {k: v.detach().cpu().contiguous().clone() for k, v in module.state_dict().items()}
    save_file(state, path)


def _unwrapped(state: Any, path: Path) -> dict[str, torch.Tensor]:
    for name in WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(name), Mapping):
            state = state[name]
            break
    if not isinstance(state, Mapping):
        raise ModelError(
            f"holds a {type(state).__name__}, not a state dict", where=str(path), hint=SAVE_SAFELY
        )
    strangers = [str(k) for k, v in state.items() if not isinstance(v, torch.Tensor)]
    if strangers or not state:
        said = (
            f"things other than tensors: {', '.join(strangers[:SHOWN])}" if strangers else "nothing"
        )
        raise ModelError(f"the state dict holds {said}", where=str(path), hint=SAVE_SAFELY)
    return dict(state)


def _without_prefix(state: Mapping[str, torch.Tensor], expected: set[str]) -> dict[str, Any]:
    for prefix in PREFIXES * 2:
        if state and all(k.startswith(prefix) for k in state) and not expected & set(state):
            state = {k.removeprefix(prefix): v for k, v in state.items()}
    return dict(state)
