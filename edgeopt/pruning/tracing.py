"""Whether a module can be traced at all, and where it cannot: the layer and the line."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

from edgeopt.formats.torch.module import named_outputs
from edgeopt.schema.errors import PassError

HINT = "Pruning follows gradients from outputs to inputs; write that step with torch's operators."
Feeds = Mapping[str, torch.Tensor]


def first_of(feeds: Feeds, count: int) -> dict[str, torch.Tensor]:
    """The first samples; a single number, which is no sample, as it is."""
    return {name: value[:count] if value.ndim else value for name, value in feeds.items()}


def check_traceable(module: nn.Module, feeds: Feeds) -> None:
    """Run the module with gradients, as the dependency graph will.

    Raises PassError that names layer, file and line where it cannot run, or where the way
    from outputs back to weights is cut: ``detach``, ``no_grad``, numpy.
    """
    watch = _Watch(module)
    with watch.watching(), whole_attention(), torch.enable_grad():
        try:
            returned = module(**_asking_gradients(feeds))
        except Exception as error:  # the module's own code may raise anything
            where, layer = _line(error), watch.inside()
            said = next(iter(str(error).strip().splitlines()), "")
            raise PassError(
                f"cannot trace '{layer}': {type(error).__name__}: {said}", where=where, hint=HINT
            ) from error
    outputs = named_outputs(returned, type(module).__name__)
    if not any(o.grad_fn is not None for o in outputs.values()):
        layer, where = watch.cut or (watch.last, watch.last_line)
        raise PassError(
            f"cannot trace '{layer}': gradients do not pass it or what comes next to it",
            where=where,
            hint=HINT,
        )


@contextmanager
def whole_attention() -> Iterator[None]:
    """torch's fused encoder layers switched off: they hide their operators."""
    was = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was)


def _asking_gradients(feeds: Feeds) -> dict[str, torch.Tensor]:
    return {
        name: value.detach().clone().requires_grad_() if value.is_floating_point() else value
        for name, value in feeds.items()
    }


class _Watch:
    """Which submodule runs, and the first that is given something without gradients."""

    def __init__(self, module: nn.Module) -> None:
        self._names = {each: path or type(each).__name__ for path, each in module.named_modules()}
        self._running: list[str] = []
        self.cut: tuple[str, str] | None = None
        self.last, self.last_line = type(module).__name__, ""

    @contextmanager
    def watching(self) -> Iterator[None]:
        hooks = []
        for each in self._names:
            hooks.append(each.register_forward_pre_hook(self._enters, with_kwargs=True))
            hooks.append(each.register_forward_hook(self._leaves))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def inside(self) -> str:
        """The innermost submodule that was running."""
        return self._running[-1] if self._running else self.last

    def _enters(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        name = self._names[module]
        self._running.append(name)
        if next(module.children(), None) is not None:
            return
        given = [x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)]
        floats = [x for x in given if x.is_floating_point()]
        line = _caller(sys._getframe(1))
        if floats and not any(x.requires_grad for x in floats) and self.cut is None:
            self.cut = name, line
        self.last, self.last_line = name, line

    def _leaves(self, module: nn.Module, args: Any, output: Any) -> None:
        self._running.pop()


def _theirs(file: str) -> bool:
    return f"{Path(torch.__file__).parent}/" not in file and file != __file__


def _caller(frame: FrameType | None) -> str:
    """``FILE:LINE`` of the user's code that calls, from a frame inside torch."""
    while frame is not None:
        if _theirs(frame.f_code.co_filename):
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _line(error: Exception) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _theirs(f.filename)]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
