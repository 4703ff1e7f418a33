"""Structured pruning of torch modules: whole channels and attention heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgeopt.module_pass import ModulePass
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.step import Open

GOALS = ("macs", "parameters", "ratio", "speedup")
Fraction = Annotated[float, Field(gt=0, lt=1)]


class PruneStructured(ModulePass):
    """Remove whole channels and attention heads, so that the network computes less.

    Give one goal. `macs` or `parameters` is the fraction to keep; `ratio` is the fraction that
    each layer loses. Two goals are measured: `speedup: 4x` takes the widest network that is this
    much faster on the target; `macs: smallest` takes the smallest network that satisfies the
    constraints after it was trained by the following steps. Accuracy falls, so train or distill
    the result.
    """

    name: ClassVar[str] = "prune-structured"
    body: ClassVar[str] = "edgeopt.bodies.prune_structured_torch"
    uses: ClassVar[tuple[str, ...]] = ("torch", "torch-pruning", "safetensors")
    splits: ClassVar[tuple[str, ...]] = ("calibration",)
    labels: ClassVar[bool] = True

    macs: Fraction | Literal["smallest"] | None = Field(
        None,
        description="fraction of the multiply-accumulates to keep; smallest: as few as satisfy the "
        "constraints, found by bisection",
    )
    speedup: str | None = Field(
        None,
        pattern=r"^[0-9]+(\.[0-9]+)?x$",
        description="how much faster than the reference, such as '4x', measured on the target",
    )
    parameters: Fraction | None = Field(None, description="fraction of the parameters to keep")
    ratio: Fraction | dict[str, Fraction] | None = Field(
        None, description="fraction of its units that each layer loses; or {layer: fraction}"
    )
    importance: Literal["group_l2", "l1", "l2", "bn_scale", "taylor", "fpgm", "random"] = Field(
        "group_l2",
        description="how a unit's importance is computed; taylor: by gradients on calibration data",
    )
    spread: Literal["uniform", "global"] = Field(
        "uniform",
        description="what to remove for macs and parameters: the same fraction of each layer, or "
        "the least important units of all layers",
    )
    round_to: int = Field(
        8, ge=1, description="keep a multiple of this many channels; smaller layers keep all"
    )
    keep: tuple[str, ...] = Field(
        (), strict=False, description="paths of layers that are not pruned"
    )
    samples: int = Field(
        64, ge=1, description="number of calibration samples that the result is checked on"
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
