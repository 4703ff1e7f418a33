"""Which quantity a result is about: the one that views show first and set against speed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgeopt.schema.constraint import Constraint
from edgeopt.schema.quantities import is_metric, usual_metric


def leading_metric(
    constraints: Iterable[Constraint],
    objective: str,
    listed: Sequence[str],
    measured: Iterable[str],
) -> str:
    """The first metric that is bounded; else the objective, if it is one; else the first listed.

    Where a recipe names none, accuracy of ``measured`` quantities, or else the mean squared error,
    agreement, any fidelity.
    """
    named = [*(c.quantity for c in constraints), objective, *listed]
    return next((quantity for quantity in named if is_metric(quantity)), usual_metric(measured))
