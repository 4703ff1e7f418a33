"""Models and data that live in the caller's process: read there, on copies, and left untouched.

``staged(model, data, ...)`` turns a ``torch.nn.Module``, a ``keras.Model`` or a ``tf.function``
and whatever yields its samples into what a recipe can name. The caller's model, modes, gradients,
random states and threads are afterwards as they were, to the bit. No framework is imported to find
out what a model or a sample is: one that was not imported made neither.
"""

from __future__ import annotations

import sys
from typing import Any, TypeGuard


def is_live(model: Any) -> TypeGuard[Any]:
    """Whether it is a ``torch.nn.Module``, a ``keras.Model`` or a ``tf.function``."""
    return isinstance(model, known("torch", "nn.Module")) or is_tensorflow(model)


def is_tensorflow(model: Any) -> bool:
    """Whether it is one of the last two."""
    functions = known("tensorflow", "types.experimental.PolymorphicFunction")
    return isinstance(model, (*known("keras", "Model"), *functions))


def known(library: str, *names: str) -> tuple[Any, ...]:
    """Classes of a library, by their places in it; none of one that is not imported."""
    found = []
    for name in names if library in sys.modules else ():
        each: Any = sys.modules[library]
        for part in name.split("."):
            each = getattr(each, part, None)
        found += [each] if isinstance(each, type) else []
    return tuple(found)
