"""For Lightning's Trainer: figures on the target among what is logged."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.callbacks import Callback

from edgeopt.callbacks.on_target import OnTarget


class OnTargetCallback(OnTarget, Callback):
    """Logs ``edgeopt/...`` at the end of every n-th training epoch, from the first process.

    Takes what ``OnTarget`` takes. Lightning's module usually wraps the network: name it with
    ``part="model"``.
    """

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Measure and log. Raises EdgeoptError."""
        if not self.due(trainer.current_epoch) or not trainer.is_global_zero:
            return
        figures = self.measured(pl_module)
        pl_module.log_dict(figures, on_step=False, on_epoch=True, rank_zero_only=True)
