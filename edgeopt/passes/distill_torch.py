"""torch -> torch: a student learns what a teacher knows."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgeopt.step import Pass, PassContext
from edgeopt.training_pass import TrainingPass


class Distill(TrainingPass):
    """Train a student on what a teacher answers: the source, unless told otherwise.

    The student is the network so far (a pruned one, say), or one that a factory builds. The
    teacher's answers are computed once where samples are not augmented.
    """

    name: ClassVar[str] = "distill"
    body: ClassVar[str] = "edgeopt.bodies.distill_torch"
    teaches: ClassVar[bool] = True

    student: str | None = Field(
        None,
        pattern=r"\.py:[A-Za-z_]\w*$",
        description="FILE.py:CALLABLE that builds the student; left out: the network so far",
    )
    teacher: Literal["source", "parent"] = Field(
        "source", description="who teaches; parent: the network so far (self-distillation)"
    )
    method: Literal["logits", "features", "attention"] = Field(
        "logits",
        description="beside outputs: features of layers (through learned projections where widths "
        "differ), or maps of where layers look",
    )
    temperature: float = Field(4.0, gt=0, description="softens scores of classes")
    soft: float = Field(
        0.9, ge=0, le=1, description="share of the teacher's outputs in the loss, against labels"
    )
    outputs: Literal["auto", "classes", "values", "embedding"] = Field(
        "auto",
        description="how outputs are compared: divergence of softened scores, mean square error, "
        "or cosine; auto: classes where labels are, else values",
    )
    weight: float = Field(1.0, gt=0, description="of features or attention, beside outputs")
    layers: dict[str, str] = Field(
        {},
        description="student's layer: teacher's layer; left out: those of equal names, the last "
        "of each resolution",
    )
    training_step: str | None = Field(
        None,
        pattern=r"\.py:[A-Za-z_]\w*$",
        description="FILE.py:FUNCTION of (student, teacher, inputs, labels): the loss of a step",
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
