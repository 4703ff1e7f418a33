"""What a torch module gives, as tensors by name."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Iterator, Mapping, Tuple

import torch


def by_name(given: Any) -> Dict[str, Any]:
    """Tensors by name, in their order, out of nested tuples, lists, mappings and dataclasses.

    ``output`` for a tensor alone, the keys of a mapping and the fields of a named tuple or a
    dataclass, else ``output_0`` and so on; what lies deeper is called after all that it lies in,
    ``boxes_0``. None is left out. Raises TypeError, naming it, for anything else.
    """
    if isinstance(given, torch.Tensor):
        return {"output": given}
    named: Dict[str, Any] = {}
    for name, value in _entries(given, ""):
        for inner, tensor in _tensors(value, name):
            while inner in named:
                inner += "_"
            named[inner] = tensor
    return named


def _tensors(value: Any, name: str) -> Iterator[Tuple[str, Any]]:
    if isinstance(value, torch.Tensor):
        yield name, value
    elif value is not None:
        for inner, each in _entries(value, name):
            yield from _tensors(each, inner)


def _entries(value: Any, name: str) -> Iterator[Tuple[str, Any]]:
    """What a container holds, with names."""
    before = name + "_" if name else ""
    if isinstance(value, Mapping):
        entries = [(str(key), each) for key, each in value.items()]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        entries = [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
    elif isinstance(value, (tuple, list)):
        before = before or ("" if hasattr(value, "_fields") else "output_")
        keys = getattr(value, "_fields", range(len(value)))
        entries = [(str(key), each) for key, each in zip(keys, value)]  # noqa: B905 - Python 3.8
    else:
        what = "output '{}' is".format(name) if name else "forward returns"
        raise TypeError("{} a {}, not a tensor".format(what, type(value).__name__))
    for key, each in entries:
        yield before + key, each
