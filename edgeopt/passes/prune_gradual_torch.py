"""Unstructured pruning of torch modules while they train."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgeopt.training_pass import TrainingPass


class PruneGradual(TrainingPass):
    """Train on labels while more and more of the smallest weights are set to zero.

    Follows Zhu and Gupta's schedule (arXiv:1710.01878): fast at first, slow towards the end.
    Zeros make files smaller once compressed; dense kernels multiply them like other numbers.
    """

    name: ClassVar[str] = "prune-gradual"
    body: ClassVar[str] = "edgeopt.bodies.prune_gradual_torch"

    sparsity: Annotated[float, Field(gt=0, lt=1)] = Field(
        ..., description="fraction of the weights of convolutions and linear layers to zero"
    )
    scope: Literal["global", "layer"] = Field(
        "global", description="take the smallest weights of all layers together, or of each layer"
    )
    keep: tuple[str, ...] = Field((), description="paths of layers that are not pruned")
    until: float = Field(
        0.7, gt=0, le=1, description="fraction of the steps over which zeros are added"
    )

    @model_validator(mode="after")
    def _to_the_end(self) -> Self:
        if self.patience is not None:
            raise ValueError("patience could end training before the zeros are there")
        return self
