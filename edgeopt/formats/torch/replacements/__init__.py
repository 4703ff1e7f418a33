"""Operators that litert-torch refuses or converts wrongly, in others that give the same answers.

Each replacement is plain torch: it takes what the operator takes and gives what the operator
gives, or None where the operator can stay as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgeopt.formats.torch.replacements import convolutions, products, resizes, selections

REPLACEMENTS: dict[Any, Callable[..., Any]] = {
    **convolutions.REPLACEMENTS,
    **products.REPLACEMENTS,
    **resizes.REPLACEMENTS,
    **selections.REPLACEMENTS,
}
SELECTING = selections.SELECTING  # told first which of their results are read
