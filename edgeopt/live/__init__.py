"""Models and data that live in the caller's process: read there, on copies, and left untouched.

``staged(model, data, ...)`` turns a ``torch.nn.Module`` and whatever yields its samples into
what a recipe can name. The caller's model, modes, gradients, random states and threads are
afterwards as they were, to the bit.
"""

from __future__ import annotations

import sys
from typing import Any, TypeGuard


def is_live(model: Any) -> TypeGuard[Any]:
    """Whether it is a ``torch.nn.Module``; torch is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)
