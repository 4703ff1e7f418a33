"""torch -> torch: a student learns what a teacher knows."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgeopt.step import Pass, PassContext
from edgeopt.training_pass import TrainingPass


class Distill(TrainingPass):
    """Train a student on the outputs of a teacher, by default the source.

    The student is the network so far (for example a pruned one), or one that a factory builds.
    The teacher's outputs are computed only once if samples are not augmented.
    """

    name: ClassVar[str] = "distill"
    body: ClassVar[str] = "edgeopt.bodies.distill_torch"
    version: ClassVar[int] = 2
    teaches: ClassVar[bool] = True

    clip: float | None = Field(
        1.0,
        gt=0,
        description="clip gradients to this L2 norm, over all of them together: networks without "
        "batch norms would not stand the learning rate otherwise",
    )
    student: str | None = Field(
        None,
        pattern=r"\.py:[A-Za-z_]\w*$",
        description="FILE.py:CALLABLE that builds the student; default: the network so far",
    )
    teacher: Literal["source", "parent"] = Field(
        "source", description="the source, or the network so far (parent: self-distillation)"
    )
    method: Literal["logits", "features", "attention"] = Field(
        "logits",
        description="what is compared: outputs alone (logits), or also features of layers (through "
        "learned projections if widths differ), or also attention maps of layers",
    )
    temperature: float = Field(4.0, gt=0, description="divides class scores, to soften them")
    soft: float = Field(
        0.9,
        ge=0,
        le=1,
        description="weight of the teacher's outputs in the loss; the rest is on labels",
    )
    outputs: Literal["auto", "classes", "values", "embedding"] = Field(
        "auto",
        description="how outputs are compared: divergence of softened scores, mean square error, "
        "or cosine; auto: classes if the labels are classes, else values",
    )
    weight: float = Field(
        1.0, gt=0, description="weight of features or attention in the loss, relative to outputs"
    )
    layers: dict[str, str] = Field(
        {},
        description="map of student's layer to teacher's layer; default: layers of equal names, "
        "the last of each resolution",
    )
    training_step: str | None = Field(
        None,
        pattern=r"\.py:[A-Za-z_]\w*$",
        description="FILE.py:FUNCTION of (student, teacher, inputs, labels) that gives the loss",
    )

    @model_validator(mode="after")
    def _layers_are_used(self) -> Self:
        if self.layers and self.method == "logits":
            raise ValueError("layers are for method: features or attention")
        return self

    def run(self, model: Any, ctx: PassContext) -> Any:
        """Train and write: the parent with new weights, or the student's factory."""
        return super().run(model, ctx) if self.student is None else Pass.run(self, model, ctx)

    @property
    def code(self) -> tuple[str, ...]:
        """Student and training step."""
        return tuple(named for named in (self.student, self.training_step) if named)
