"""Unstructured pruning of torch modules: single weights become zeros."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgeopt.module_pass import ModulePass


class PruneUnstructured(ModulePass):
    """Set the smallest weights to zero, all at once. Only compressed files become smaller.

    Shapes do not change. On CPUs, all runtimes of edgeopt have dense kernels, which multiply zeros
    like other numbers. Expect a smaller download, but no faster network unless it is measured.
    """

    name: ClassVar[str] = "prune-unstructured"
    body: ClassVar[str] = "edgeopt.bodies.prune_unstructured_torch"
    uses: ClassVar[tuple[str, ...]] = ("torch", "safetensors")

    sparsity: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="fraction of the weights of convolutions and linear layers to zero"
    )
    pattern: Literal["2:4"] | None = Field(
        None,
        description="instead of a sparsity: zero two of every four neighbours along the inputs",
    )
    scope: Literal["global", "layer"] = Field(
        "global", description="take the smallest weights of all layers together, or of each layer"
    )
    keep: tuple[str, ...] = Field((), description="paths of layers that are not pruned")

    @model_validator(mode="after")
    def _one_goal(self) -> Self:
        if (self.sparsity is None) == (self.pattern is None):
            raise ValueError("either a sparsity or a pattern")
        return self
