"""Unstructured pruning of torch modules while they train."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgeopt.training_pass import TrainingPass


class PruneGradual(TrainingPass):
    """Train on labels while ever more weights become zeros, the smallest of each step.

    Zhu and Gupta's schedule (arXiv:1710.01878): fast at first, slowly towards the end. Zeros
    make files smaller once packed; dense kernels multiply them as they do other numbers.
    """

    name: ClassVar[str] = "prune-gradual"
    body: ClassVar[str] = "edgeopt.bodies.prune_gradual_torch"

    sparsity: Annotated[float, Field(gt=0, lt=1)] = Field(
        ..., description="fraction of the weights of convolutions and linear layers that goes"
    )
    scope: Literal["global", "layer"] = Field(
        "global", description="where the smallest are looked for: in all layers together, or each"
    )
    keep: tuple[str, ...] = Field((), description="layers that stay whole, by their paths")
    until: float = Field(
        0.7, gt=0, le=1, description="share of the steps over which the zeros become more"
    )

    @model_validator(mode="after")
    def _to_the_end(self) -> Self:
        if self.patience is not None:
            raise ValueError("patience could end training before the zeros are there")
        return self
