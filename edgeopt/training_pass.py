"""What all passes that train share: their fields, and what they see. Nothing here loads torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from edgeopt.module_pass import ModulePass
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError

DAY_S = 86_400.0
ONE_CYCLE_WARMUP = 0.2  # share of the steps that the rate rises over


class TrainingSettings(BaseModel):
    """What ``fit`` does with a module and its samples. Passes that train subclass it.

    The result depends on these fields, the samples, the seed and the CPU's instruction set, and
    on nothing else: equal settings give equal bits, ``threads`` included.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    epochs: int = Field(8, ge=1, description="number of passes over the training samples")
    steps: int | None = Field(None, ge=1, description="number of training steps; replaces epochs")
    batch: int = Field(128, ge=1, description="samples per step")
    optimizer: str = Field(
        "sgd",
        description="sgd, adam, adamw, or the name of any other in torch.optim, such as RAdam",
    )
    lr: float = Field(0.1, gt=0, description="the highest learning rate")
    momentum: float = Field(0.9, ge=0, lt=1, description="for optimizers that have it (sgd)")
    weight_decay: float = Field(5e-4, ge=0, description="applied to all parameters")
    schedule: Literal["constant", "cosine", "one-cycle", "step"] = Field(
        "one-cycle",
        description="learning rate over the steps; one-cycle: rises over the first fifth, then "
        "falls to zero as a cosine",
    )
    warmup: float | None = Field(
        None, ge=0, lt=1, description="fraction of the steps over which the rate rises from zero"
    )
    decay_at: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (0.5, 0.75),
        strict=False,
        description="for schedule 'step': fractions of the steps after which lr is reduced",
    )
    decay: float = Field(
        0.1, gt=0, le=1, description="for schedule 'step': factor of each reduction"
    )
    clip: float | None = Field(
        None, gt=0, description="clip gradients to this L2 norm, over all of them together"
    )
    ema: float = Field(
        0.998,
        ge=0,
        lt=1,
        description="keep a moving average of weights and buffers with this decay; 0: use the "
        "last weights",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="for the loss on labels")
    shift: int = Field(0, ge=0, description="shift images by up to this many pixels")
    mirror: bool = Field(False, description="mirror every second image, left to right")
    erase: int = Field(
        0, ge=0, description="side in pixels of a patch that is blanked in each image"
    )
    precision: Literal["float32", "bfloat16", "float16", "auto"] = Field(
        "float32",
        description="precision of the forward pass (autocast); weights stay float32; auto: "
        "bfloat16 if the CPU or GPU computes in it, else float32",
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="stop after this many epochs without improvement on validation, and keep the "
        "best epoch; by default train to the end and keep the last",
    )
    checkpoint_every: int = Field(200, ge=1, description="steps between checkpoints")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where to train")
    threads: int = Field(
        1, ge=1, description="CPU threads; a different number gives different bits"
    )

    @property
    def augmented(self) -> bool:
        """Whether a sample looks different each time it is seen."""
        return bool(self.shift or self.mirror or self.erase)


class TrainingPass(TrainingSettings, ModulePass):
    """Trains on the split ``train`` and its labels, and looks at ``validation`` on the way."""

    splits: ClassVar[tuple[str, ...]] = ("train", "validation")
    labels: ClassVar[bool] = True
    isa_matters: ClassVar[bool] = True
    limit_s: ClassVar[float | None] = DAY_S

    def requires(self, d: Description) -> None:
        """Float32 modules; all samples of a step at once."""
        super().requires(d)
        if d.signature.batch not in (None, self.batch):
            raise PassError(
                f"{self.name}: the module takes {d.signature.batch} samples at a time",
                hint=f"say 'batch: {d.signature.batch}'",
            )
