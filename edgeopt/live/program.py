"""A live module as an exported program, traced on a copy."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import nn

from edgeopt.formats.torch.untraced import root_cause
from edgeopt.schema.errors import ModelError


def input_names(model: nn.Module) -> list[str]:
    """The parameters of ``forward`` that must be given, in order. Raises ModelError."""
    where = type(model).__name__
    names = []
    for name, each in inspect.signature(model.forward).parameters.items():
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            continue
        if each.default is each.empty:
            names.append(name)
    if not names:
        raise ModelError(
            "forward names no input",
            where=where,
            hint="write forward(self, image): inputs need names",
        )
    return names


def save(model: nn.Module, examples: Mapping[str, np.ndarray[Any, Any]], folder: Path) -> Path:
    """Trace a copy of the module, in evaluation mode on the CPU, and write it as ``.pt2``.

    ``examples`` are a few real samples by input. The batch is free where the module allows it.
    Raises ModelError that names the submodule, or the file and line of the caller's code.
    """
    twin = _copied(model).cpu().eval()
    _check_precision(twin, type(model).__name__)
    _check_no_grids(twin, type(model).__name__)
    given = {name: _tensor(array, twin) for name, array in examples.items()}
    free = {0: torch.export.Dim("batch", min=1)}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            exported = torch.export.export(
                twin, (), given, dynamic_shapes=dict.fromkeys(given, free), strict=False
            )
        except Exception as error:  # torch raises what the code and its own tracer raise
            raise _explained(error, model, twin) from error
        _check_outputs(exported, type(model).__name__)
        path = folder / f"{type(model).__name__}.pt2"
        torch.export.save(exported, path)
    return path


def _tensor(array: np.ndarray[Any, Any], module: nn.Module) -> torch.Tensor:
    """Floats in the module's own precision."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if not tensor.is_floating_point():
        return tensor
    weights = (p.dtype for p in module.parameters() if p.is_floating_point())
    return tensor.to(next(weights, torch.float32))


def _check_no_grids(module: nn.Module, where: str) -> None:
    """Raise ModelError for what ``qat`` made: its ranges would be lost on the way."""
    for name, each in module.named_modules():
        if type(each).__name__ == "FakeQuantize":
            raise ModelError(
                f"'{name}' was made by qat; a live module is exported in float, without its ranges",
                where=where,
                hint="give the network before qat as a factory with weights, and qat as a pass of "
                "the recipe: it exports the trained ranges",
            )


def _check_precision(module: nn.Module, where: str) -> None:
    """Raise ModelError for weights of double precision, which sources cannot have."""
    for name, weight in (*module.named_parameters(), *module.named_buffers()):
        if weight.dtype == torch.float64:
            raise ModelError(
                f"'{name}' is float64; a source must be float32",
                where=where,
                hint="pass model.float(), or a copy of it",
            )


def _copied(model: nn.Module) -> nn.Module:
    """A deep copy without the caller's own hooks. Raises ModelError naming what has none."""
    try:
        twin = copy.deepcopy(model)
    except Exception as error:
        raise _uncopyable(model, error) from error
    for module in twin.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key in [k for k, hook in hooks.items() if not _torchs_own(hook)]:
                del hooks[key]
    return twin


def _torchs_own(hook: Any) -> bool:
    """Whether a hook computes weights, as torch's weight norm and pruning do."""
    return str(getattr(hook, "__module__", "") or type(hook).__module__).startswith("torch.")


def _uncopyable(model: nn.Module, error: Exception) -> ModelError:
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if key == "_modules":
                continue
            try:
                copy.deepcopy(value)
            except Exception as cause:
                place = f"{type(model).__name__}.{name}" if name else type(model).__name__
                inner = _culprit(value) if key.startswith("_") else key
                return ModelError(
                    f"the model cannot be copied: '{inner}' of {place}: {cause}",
                    where=place,
                    hint="keep such things outside the module, or give it __deepcopy__",
                )
    return ModelError(f"the model cannot be copied: {error}", where=type(model).__name__)


def _culprit(held: Any) -> str:
    """Which entry of a dictionary of parameters, buffers or hooks cannot be copied."""
    for key, value in held.items() if isinstance(held, dict) else ():
        try:
            copy.deepcopy(value)
        except Exception:
            return str(key)
    return "an attribute"


def _check_outputs(exported: Any, where: str) -> None:
    """Raise ModelError for an output whose shape depends on the data."""
    holders = {node.name: node.meta.get("val") for node in exported.graph.nodes}
    for name in exported.graph_signature.user_outputs:
        value = holders.get(str(name))
        if not isinstance(value, torch.Tensor):
            continue
        open_sizes = [str(size) for size in value.shape if str(size).startswith("u")]
        if open_sizes:
            raise ModelError(
                f"output '{name}' has a shape that depends on the data: {list(value.shape)}",
                where=where,
                hint="runtimes need outputs of one shape; pad them to the longest",
            )


def _explained(error: Exception, model: nn.Module, twin: nn.Module) -> ModelError:
    """What failed in one line, with the submodule and the line of the caller's code."""
    cause = root_cause(error)
    first = next((line.strip() for line in str(cause).splitlines() if line.strip()), "")
    place, line = _blamed(error, twin)
    if not line:
        line = _named_line(str(error))
    name = type(model).__name__ + (f".{place}" if place else "")
    hint = "torch.export must be able to trace forward(); see its documentation"
    if "data-dependent" in str(error).lower() or "DataDependent" in type(cause).__name__:
        hint = "forward() branches on values, or makes shapes of them: runtimes cannot do that"
    said = f"{type(cause).__name__}: {first}" if first else type(cause).__name__
    return ModelError(
        f"the model cannot be traced: {said}", where=f"{name} ({line})" if line else name, hint=hint
    )


def _blamed(error: BaseException, twin: nn.Module) -> tuple[str, str]:
    """Innermost submodule and line of the caller's code in an error's traceback."""
    names = {id(module): name for name, module in twin.named_modules()}
    place, line = "", ""
    each: BaseException | None = error
    while each is not None:
        step: TracebackType | None = each.__traceback__
        while step is not None:
            owner = step.tb_frame.f_locals.get("self")
            file = step.tb_frame.f_code.co_filename
            if id(owner) in names:
                place = names[id(owner)]
                if f"{torch.__path__[0]}/" not in file:
                    line = f"{Path(file).name}:{step.tb_lineno}"
            step = step.tb_next
        each = each.__cause__
    return place, line


def _named_line(text: str) -> str:
    """The last line of the caller's code that torch names in its message."""
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith('File "')]
    own = [line for line in lines if "/torch/" not in line]
    if not own:
        return ""
    file, _, rest = own[-1].removeprefix('File "').partition('"')
    digits = "".join(char for char in rest.partition("line ")[2] if char.isdigit() or char == ",")
    return f"{Path(file).name}:{digits.partition(',')[0]}"
