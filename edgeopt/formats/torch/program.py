"""An exported program as a module: called by input names, fixed in the mode it was traced in."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgeopt.models.layout import image_layout
from edgeopt.schema.artifact import Dim
from edgeopt.schema.errors import ModelError


class Program(nn.Module):
    """The module of an ``ExportedProgram``; ``forward`` has the program's own input names."""

    def __init__(self, exported: Any, where: str) -> None:
        super().__init__()
        positional, named = _inputs(exported, where)
        self.names = [*positional, *named]
        self.positional = positional
        self.inner = exported.module()

        def forward(*args: Any, **kwargs: Any) -> Any:
            given = dict(zip(self.names, args, strict=False)) | kwargs
            first = [given.pop(name) for name in self.positional]
            return self.inner(*first, **given)

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        forward.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [inspect.Parameter(name, kind) for name in self.names]
        )
        self.forward = forward

    def train(self, mode: bool = True) -> Program:
        """Nothing: a program was traced in one mode and keeps it."""
        return self


def load(path: Path) -> Program:
    """A program from a file that ``archive.copy_program`` wrote. Raises ModelError."""
    return Program(exported(path), str(path))


def exported(path: Path) -> Any:
    """The ``ExportedProgram`` of such a file. Raises ModelError."""
    try:
        return torch.export.load(str(path))
    except Exception as error:  # the loader asserts, and raises what it meets
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(
            f"PyTorch {torch.__version__} cannot load the program: {first}", where=str(path)
        ) from error


def described(program: Any, where: str) -> dict[str, dict[str, Any]]:
    """``{name: {"shape", "dtype", "layout"}}`` of the inputs, the free batch called ``batch``.

    Raises ModelError where the batch is no input's first axis alone.
    """
    positional, named = _inputs(program, where)
    holders = {n.name: n.meta["val"] for n in program.graph.nodes if n.op == "placeholder"}
    tensors = [holders[str(name)] for name in program.graph_signature.user_inputs]
    free = {str(t.shape[0]) for t in tensors if t.ndim and not isinstance(t.shape[0], int)}
    inputs = {}
    for name, tensor in zip([*positional, *named], tensors, strict=True):
        shape: list[Dim] = []
        for axis, size in enumerate(tensor.shape):
            symbol = "" if isinstance(size, int) else str(size)
            shape.append(size if not symbol else "batch" if symbol in free else f"{name}.{axis}")
        dtype = str(tensor.dtype).removeprefix("torch.")
        inputs[name] = {"shape": shape, "dtype": dtype, "layout": image_layout(shape)}
    return inputs


def _inputs(program: Any, where: str) -> tuple[list[str], list[str]]:
    """Names of the inputs by position, then of those by keyword."""
    by_position, by_name = program.call_spec.in_spec.children()
    names = [str(name) for name in program.graph_signature.user_inputs]
    if by_position.num_leaves + by_name.num_leaves != len(names) or (
        by_position.num_leaves != len(by_position.children())
        or by_name.num_leaves != len(by_name.children())
    ):
        raise ModelError("inputs must be plain tensors, one for each parameter", where=where)
    count = by_position.num_leaves
    return names[:count], [str(name) for name in by_name.context]
