"""Measure a module in the middle of its training, and leave the training as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgeopt.api import optimize
from edgeopt.schema.errors import ModelError
from edgeopt.schema.result import CandidateResult, Result, TargetResult

PREFIX = "edgeopt/"
Part = Callable[[Any], Any]


class OnTarget:
    """Figures of a module every so many epochs, on copies: exported, quantized, raced.

    ``data`` are a few samples with labels, as ``edgeopt.optimize`` takes them for live modules;
    ``part`` says which module is meant, where a trainer's own wraps it: the name of an attribute
    or a function of the trainer's module. ``fields`` are a recipe's keys; without ``passes``,
    every form that is worth trying is measured, and nothing is refused. Raises ValueError for an
    ``every`` below 1.
    """

    def __init__(
        self,
        data: Any,
        *,
        every: int = 1,
        target: str = "local/onnxruntime",
        part: str | Part | None = None,
        store: Any = None,
        **fields: Any,
    ) -> None:
        if every < 1:
            raise ValueError(f"every is a number of epochs from 1, not {every}")
        self.data, self.every, self.target, self.store = data, every, target, store
        self.fields = {"constraints": [], **fields}
        self.part = part
        self.history: list[dict[str, float]] = []

    def due(self, epoch: int) -> bool:
        """Whether it is time at the end of an epoch, counted from 0."""
        return epoch >= 0 and (epoch + 1) % self.every == 0

    def measured(self, module: Any) -> dict[str, float]:
        """``edgeopt/latency_p50_ms`` and more of the best form, ``edgeopt/int8_...`` of the best
        INT8 one. The module, its gradients and all random states stay as they are.

        Raises EdgeoptError, where nothing could be measured, too.
        """
        part = self.part
        meant = getattr(module, part) if isinstance(part, str) else part(module) if part else module
        result = optimize(
            meant,
            data=self.data,
            targets=[self.target],
            store=self.store,
            quick=True,
            **self.fields,
        )
        if result.targets[0].verdict == "failed":
            raise ModelError(result.targets[0].sentence, where=self.target)
        figures = figures_of(result)
        self.history.append(figures)
        return figures


def figures_of(result: Result) -> dict[str, float]:
    """Figures of the chosen artifact and of the best INT8 one, by the names they are logged by."""
    (target,) = result.targets
    figures: dict[str, float] = {}
    if target.chosen:
        figures |= _figures(target, target.candidate(target.chosen), "")
    int8 = [
        c
        for c in target.candidates
        if c.description and "int8" in c.description.facts and _ratio(target) in c.measurements
    ]
    if int8:
        best = min(int8, key=lambda c: c.measurements[_ratio(target)].value)
        figures |= _figures(target, best, "int8_")
    return figures


def _ratio(target: TargetResult) -> str:
    return f"ratio.{target.speed}"


def _figures(target: TargetResult, candidate: CandidateResult, which: str) -> dict[str, float]:
    measured = candidate.measurements
    names = {
        target.metric: target.metric,
        "latency.p50": "latency_p50_ms",
        "instructions": "instructions",
        _ratio(target): "x_reference",
        "size": "size_bytes",
    }
    return {
        f"{PREFIX}{which}{name}": float(measured[quantity].value)
        for quantity, name in names.items()
        if quantity in measured
    }
