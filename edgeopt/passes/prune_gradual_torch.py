"""Unstructured pruning of torch modules while they train."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgeopt.schema.errors import PassError
from edgeopt.step import PassContext
from edgeopt.training import fit, samples_of, supervised, validation
from edgeopt.training.training_pass import TrainingPass


class PruneGradual(TrainingPass):
    """Train on labels while ever more weights become zeros, the smallest of each step.

    Zhu and Gupta's schedule (arXiv:1710.01878): fast at first, slowly towards the end. Zeros
    make files smaller once packed; dense kernels multiply them as they do other numbers.
    """

    name: ClassVar[str] = "prune-gradual"

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

    def change(self, model: Any, ctx: PassContext) -> tuple[Any, list[dict[str, Any]]]:
        """The module trained, with zeros in it; nothing to record, as shapes stay."""
        from edgeopt.pruning import zeros

        train, held_out = (samples_of(ctx, split) for split in ("train", "validation"))
        if train.labels is None:
            raise PassError(f"{self.name} trains on labels, and the data has none")
        zeros.weights_of(model, self.keep)
        fit(
            model,
            train,
            supervised(smoothing=self.label_smoothing),
            self,
            seed=ctx.seed,
            progress=ctx.progress,
            checkpoints=ctx.checkpoints,
            validate=validation(held_out) if held_out.labels is not None else None,
            before_step=self._zeroed,
        )
        self._zeroed(model, 1, 1)
        return model, []

    def _zeroed(self, module: Any, step: int, total: int) -> None:
        """Set to zero what the schedule asks for at a step: a function of weights and step."""
        from edgeopt.pruning import zeros

        weights = zeros.weights_of(module, self.keep)
        sparsity = zeros.scheduled(self.sparsity, step / max(1.0, self.until * total))
        masks = zeros.by_magnitude(weights, sparsity, self.scope == "global")
        zeros.check_none_empty(masks)
        zeros.apply(weights, masks)
