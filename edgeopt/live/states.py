"""Random states: all that the caller's model and data can reach are put back."""

from __future__ import annotations

import functools
import random
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from edgeopt.live import known

MOST_OBJECTS = 200_000
LEAVES = (
    str, bytes, bytearray, int, float, complex, type, types.ModuleType, np.ndarray, np.generic,
)  # fmt: skip


@contextmanager
def untouched(*roots: Any) -> Iterator[None]:
    """Put back, at the end, every random state and torch's threads and modes.

    The global states of ``random``, numpy and torch (CUDA's where it is in use), and each
    generator that can be reached from ``roots``: through attributes, containers, closures,
    defaults, bound methods, and the globals that functions name. torch's only where it is
    imported already.
    """
    python, numpy = random.getstate(), np.random.get_state()
    held = [(each, _state(each)) for each in generators(*roots)]
    torchs = _torchs_own() if "torch" in sys.modules else nullcontext()
    try:
        with torchs:
            yield
    finally:
        for each, state in held:
            _restore(each, state)
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def _torchs_own() -> Iterator[None]:
    """torch's own global state."""
    torch = sys.modules["torch"]
    cpu = torch.get_rng_state()
    in_use = bool(torch.cuda.is_available() and torch.cuda.is_initialized())
    cuda = torch.cuda.get_rng_state_all() if in_use else None
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    grad, deterministic = torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled()
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if torch.get_default_dtype() != dtype:
            torch.set_default_dtype(dtype)
        if torch.are_deterministic_algorithms_enabled() != deterministic:
            torch.use_deterministic_algorithms(deterministic)
        torch.set_grad_enabled(grad)


OTHERS = (np.random.Generator, np.random.RandomState, random.Random)


def _kinds() -> tuple[Any, ...]:
    return (*OTHERS, *known("torch", "Generator"))


def generators(*roots: Any) -> list[Any]:
    """Each generator that can be reached, once."""
    rngs: list[Any] = []
    kinds, tensors = _kinds(), known("torch", "Tensor")
    seen: dict[int, Any] = {}
    pending = list(roots)
    while pending and len(seen) < MOST_OBJECTS:
        thing = pending.pop()
        if id(thing) in seen or isinstance(thing, LEAVES) or thing is None:
            continue
        seen[id(thing)] = thing  # also keeps it alive, so that no id is used twice
        if isinstance(thing, kinds):
            rngs.append(thing)
        elif not isinstance(thing, tensors):
            pending += _within(thing)
    return rngs


def _within(thing: Any) -> list[Any]:
    """What a thing holds."""
    if isinstance(thing, dict):
        return [*thing.keys(), *thing.values()]
    if isinstance(thing, list | tuple | set | frozenset):
        return list(thing)
    if isinstance(thing, types.FunctionType):
        return _of_function(thing)
    if isinstance(thing, types.MethodType):
        return [thing.__self__, thing.__func__]
    if isinstance(thing, functools.partial):
        return [thing.func, thing.args, thing.keywords]
    if isinstance(thing, types.GeneratorType):
        return [] if thing.gi_frame is None else list(thing.gi_frame.f_locals.values())
    held = list(getattr(thing, "__dict__", {}).values())
    for kind in type(thing).__mro__:
        if kind.__module__.partition(".")[0] in ("builtins", "torch", "numpy"):
            continue
        slots = vars(kind).get("__slots__", ())
        names = (slots,) if isinstance(slots, str) else tuple(slots)
        held += [getattr(thing, name) for name in names if hasattr(thing, name)]
        held += [each for each in vars(kind).values() if isinstance(each, types.FunctionType)]
    return held


def _of_function(function: types.FunctionType) -> list[Any]:
    held: list[Any] = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    for cell in function.__closure__ or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:  # not filled yet
            continue
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        held += [function.__globals__[n] for n in code.co_names if n in function.__globals__]
        codes += [each for each in code.co_consts if isinstance(each, types.CodeType)]
    return held


def _state(each: Any) -> Any:
    if isinstance(each, np.random.Generator):
        return each.bit_generator.state
    return each.getstate() if isinstance(each, random.Random) else each.get_state()


def _restore(each: Any, state: Any) -> None:
    if isinstance(each, np.random.Generator):
        each.bit_generator.state = state
    elif isinstance(each, random.Random):
        each.setstate(state)
    else:  # numpy's older one, and torch's
        each.set_state(state)
