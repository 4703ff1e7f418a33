"""Calling modules on samples by input: teachers may name their arguments otherwise."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any


def called(module: Any, inputs: Mapping[str, Any]) -> Any:
    """What ``forward`` gives: inputs by name, or in their order where it has other names."""
    try:
        inspect.signature(module.forward).bind(**inputs)
    except TypeError:
        return module(*inputs.values())
    return module(**inputs)


def asked(teacher: Any, inputs: Mapping[str, Any]) -> Any:
    """What a teacher answers: images come in the memory order that it was left in."""
    if all(p.is_contiguous() for p in teacher.parameters()):
        inputs = {name: x.contiguous() for name, x in inputs.items()}
    return called(teacher, inputs)
