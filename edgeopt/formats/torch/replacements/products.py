"""Sums of products in the notation of Einstein."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import ascii_letters
from typing import Any

import torch

Tensor = torch.Tensor
aten = torch.ops.aten


def einsum(
    equation: str, tensors: Sequence[Tensor], path: Sequence[int] | None = None
) -> Tensor | None:
    """A sum of products two by two, axes that two share in one order, and flattened to one.

    litert-torch takes shared axes in the order of each operand, and would multiply what does not
    belong together.
    """
    sides, _, given = equation.replace(" ", "").partition("->")
    terms = sides.split(",")
    if "." in equation or len(terms) < 2 or any(len(set(term)) < len(term) for term in terms):
        return None
    out = given if "->" in equation else _free(sides)
    if len(terms) == 2 and _shared(*terms) == _shared(*reversed(terms)):
        return None
    whole, term = tensors[0], terms[0]
    for place in range(1, len(terms)):
        wanted = set(out).union(*terms[place + 1 :])
        both = dict.fromkeys(term + terms[place])
        left = out if place == len(terms) - 1 else "".join(x for x in both if x in wanted)
        whole, term = _multiplied(term, whole, terms[place], tensors[place], left), left
    return whole


def _multiplied(first: str, a: Tensor, second: str, b: Tensor, out: str) -> Tensor:
    """Two operands of an einsum, their axes by label."""
    shared = _shared(first, second)
    if shared == _shared(second, first):
        return torch.einsum(f"{first},{second}->{out}", a, b)
    summed = [x for x in shared if x not in out]
    labels = []
    for term, tensor in ((first, a), (second, b)):
        kept = [x for x in shared if x in out] + [x for x in term if x not in shared]
        tensor = tensor.permute([term.index(x) for x in (*kept, *summed)])
        labels.append(("".join(kept), tensor.reshape(*tensor.shape[: len(kept)], -1)))
    (first, a), (second, b) = labels
    one = next(x for x in ascii_letters if x not in first + second + out)
    return torch.einsum(f"{first}{one},{second}{one}->{out}", a, b)


def _shared(term: str, other: str) -> list[str]:
    return [label for label in term if label in other]


def _free(sides: str) -> str:
    """The labels of a result that an equation leaves out: those that stand once, sorted."""
    return "".join(sorted(x for x in set(sides) - {","} if sides.count(x) == 1))


REPLACEMENTS: dict[Any, Callable[..., Any]] = {aten.einsum.default: einsum}
