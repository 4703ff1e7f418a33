"""For the Trainer of Transformers: figures on the target in its log history."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from edgeopt.callbacks.on_target import OnTarget


class OnTargetCallback(OnTarget, TrainerCallback):
    """Adds ``edgeopt/...`` to ``state.log_history`` at the end of every n-th epoch.

    Takes what ``OnTarget`` takes. A model of Transformers gives an object with named outputs;
    ``part=lambda model: ...`` gives a module that returns tensors instead.
    """

    def on_epoch_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Measure and note. Raises EdgeoptError."""
        epoch = round(state.epoch) - 1
        if not self.due(epoch) or not state.is_world_process_zero:
            return
        figures = self.measured(given["model"])
        state.log_history.append({**figures, "epoch": state.epoch, "step": state.global_step})
