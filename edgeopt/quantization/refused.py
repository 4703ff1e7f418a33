"""Layers that a quantizer refuses, found by having it quantize parts of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

MOST = 8  # layers that may stay in float; beyond, the quantizer refuses the network


def refused(layers: Sequence[str], fails: Callable[[Sequence[str]], str]) -> dict[str, str]:
    """The layers without which all others can be quantized, each with the error that it gives.

    ``fails`` quantizes some layers alone and gives the error, empty where there is none. Where no
    layer is to blame (nothing can be quantized, everything can, or more than ``MOST`` layers are
    refused), the answer is empty.
    """
    left, found = list(layers), dict[str, str]()
    while why := fails(left):
        works, ends = 0, len(left)  # left[:works] can be quantized, left[:ends] cannot
        if not left or len(found) == MOST or fails([]):
            return {}
        while ends - works > 1:
            half = (works + ends) // 2
            error = fails(left[:half])
            if error:
                ends, why = half, error
            else:
                works = half
        found[left.pop(ends - 1)] = why
    return found
