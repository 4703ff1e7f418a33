"""Structured pruning of torch modules: whole channels and attention heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgeopt.by_hand import ByHand
from edgeopt.module_pass import ModulePass
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import DataError, PassError
from edgeopt.step import Open, PassContext

BATCH = 32
GOALS = ("macs", "parameters", "ratio", "speedup")
Fraction = Annotated[float, Field(gt=0, lt=1)]


class PruneStructured(ModulePass):
    """Remove whole channels and attention heads, so that the network computes less.

    One goal: `macs` or `parameters`, the fraction to keep, or `ratio`, the fraction that each
    layer loses. Or one that is measured: `speedup: 4x` takes the widest network that is so much
    faster on the target, `macs: smallest` the smallest that, trained by the steps that follow,
    keeps the constraints. Accuracy falls; train the result, or distill it.
    """

    name: ClassVar[str] = "prune-structured"
    uses: ClassVar[tuple[str, ...]] = ("torch", "torch-pruning", "safetensors")
    splits: ClassVar[tuple[str, ...]] = ("calibration",)
    labels: ClassVar[bool] = True

    macs: Fraction | Literal["smallest"] | None = Field(
        None,
        description="multiply-accumulates to keep, as a fraction; smallest: as few as keep the "
        "constraints, by bisection",
    )
    speedup: str | None = Field(
        None,
        pattern=r"^[0-9]+(\.[0-9]+)?x$",
        description="how much faster than the reference, such as '4x', by measuring on the target",
    )
    parameters: Fraction | None = Field(None, description="parameters to keep, as a fraction")
    ratio: Fraction | dict[str, Fraction] | None = Field(
        None, description="fraction of its units that each layer loses, or {layer: fraction}"
    )
    importance: Literal["group_l2", "l1", "l2", "bn_scale", "taylor", "fpgm", "random"] = Field(
        "group_l2",
        description="what a unit is worth; taylor takes gradients on calibration samples",
    )
    spread: Literal["uniform", "global"] = Field(
        "uniform",
        description="how macs and parameters are shared out: the same part of each layer, or "
        "the least important units wherever they are",
    )
    round_to: int = Field(
        8, ge=1, description="a layer keeps a multiple of so many channels; one of no more, all"
    )
    keep: tuple[str, ...] = Field(
        (), strict=False, description="layers that stay whole, by their paths"
    )
    samples: int = Field(
        64, ge=1, description="calibration samples that results are checked on, from the first on"
    )

    @model_validator(mode="after")
    def _one_goal(self) -> Self:
        goals = [n for n in GOALS if getattr(self, n) is not None]
        if len(goals) != 1:
            raise ValueError(f"one goal of {', '.join(GOALS)}, not {' and '.join(goals) or 'none'}")
        if self.speedup and float(self.speedup[:-1]) <= 1:
            raise ValueError(f"a speedup is more than 1x, not {self.speedup}")
        return self

    @classmethod
    def open_of(cls, fields: Mapping[str, Any]) -> Open | None:
        """A speed-up, or the smallest network that holds."""
        if speedup := fields.get("speedup"):
            return Open("macs", ("speedup",), float(str(speedup).removesuffix("x")))
        return Open("macs", ("macs",)) if fields.get("macs") == "smallest" else None

    def requires(self, d: Description) -> None:
        """Float32 modules with at least one input."""
        super().requires(d)
        if not d.signature.inputs:
            raise PassError(f"{self.name} needs a module with inputs")

    def change(self, model: Any, ctx: PassContext) -> tuple[Any, list[dict[str, Any]]]:
        """A pruned copy and its records."""
        from edgeopt.pruning.prune import Goal, How, prune

        if self.macs == "smallest" or (self.speedup and not isinstance(ctx, ByHand)):
            raise PassError(
                f"{self.label} is found by measuring, in a whole run",
                hint="Run it with edgeopt.optimize, or name the fraction of macs to keep.",
            )
        if self.speedup:
            return self._sped_up(model, ctx)
        fraction = self.macs or self.parameters or 1.0
        quantity: Any = None if self.ratio is not None else "macs" if self.macs else "parameters"
        done = prune(
            model,
            self._batches(ctx),
            Goal(quantity, fraction, self.ratio),
            How(self.importance, self.spread, self.round_to, self.keep),
            ctx.seed,
            ctx.progress,
        )
        ctx.found = done.told(model)
        ctx.progress(1, 1, macs=done.after.macs, parameters=done.after.parameters)
        return done.module, done.records

    def _sped_up(self, model: Any, ctx: PassContext) -> tuple[Any, list[dict[str, Any]]]:
        """The widest pruned copy that is measured to be fast enough on this machine."""
        from edgeopt.pruning.by_speed import fraction_for

        def closed(fraction: float) -> PruneStructured:
            return self.model_copy(update={"speedup": None, "macs": fraction})

        assert self.speedup is not None
        fraction = fraction_for(
            float(self.speedup.removesuffix("x")),
            model,
            lambda kept: closed(kept).change(model, ctx)[0],
            self._batches(ctx)[0][0],
            ctx.progress,
        )
        return closed(fraction).change(model, ctx)

    def _batches(self, ctx: PassContext) -> list[Any]:
        """The first samples, in batches of at most 32 or of the model's fixed size."""
        import numpy as np
        import torch

        from edgeopt.training.samples import targets_of

        arrays, signature = ctx.data("calibration"), ctx.description.signature
        labels = {target.position: target.labels for target in targets_of(ctx, "calibration")}
        for tensor in signature.inputs:
            if tensor.name not in arrays:
                raise DataError(f"no calibration data for the model's input '{tensor.name}'")
        size = signature.batch or BATCH
        count = min(self.samples, *(len(arrays[t.name]) for t in signature.inputs))
        if count < (signature.batch or 1):
            raise DataError(f"too few calibration samples: the model takes {size} at a time")

        def rows(array: Any, start: int) -> torch.Tensor:
            stop = min(start + size, count) if not signature.batch else start + size
            return torch.from_numpy(np.array(array[start:stop]))

        last = count if not signature.batch else count // size * size
        return [
            (
                {t.name: rows(arrays[t.name], start) for t in signature.inputs},
                {at: rows(array, start) for at, array in labels.items()},
            )
            for start in range(0, last, size)
        ]
