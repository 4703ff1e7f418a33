"""What all passes that train share."""

from __future__ import annotations

from typing import ClassVar

from edgeopt.module_pass import ModulePass
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.training.settings import TrainingSettings

DAY_S = 86_400.0


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
