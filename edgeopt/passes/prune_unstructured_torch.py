"""Unstructured pruning of torch modules: single weights become zeros."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgeopt.module_pass import ModulePass


class PruneUnstructured(ModulePass):
    """Set the smallest weights to zero, at once. Shapes stay, so files are smaller only packed.

    Dense kernels, and all of edgeopt's runtimes have such on CPUs, multiply zeros as they do
    other numbers: expect a smaller download, not a faster network, unless it is measured.
    """

    name: ClassVar[str] = "prune-unstructured"
    body: ClassVar[str] = "edgeopt.bodies.prune_unstructured_torch"
    uses: ClassVar[tuple[str, ...]] = ("torch", "safetensors")

    sparsity: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="fraction of the weights of convolutions and linear layers that goes"
    )
    pattern: Literal["2:4"] | None = Field(
        None, description="in place of a sparsity: two of each four neighbours along the inputs"
    )
    scope: Literal["global", "layer"] = Field(
        "global", description="where the smallest are looked for: in all layers together, or each"
    )
    keep: tuple[str, ...] = Field((), description="layers that stay whole, by their paths")

    @model_validator(mode="after")
    def _one_goal(self) -> Self:
        if (self.sparsity is None) == (self.pattern is None):
            raise ValueError("either a sparsity or a pattern")
        return self
