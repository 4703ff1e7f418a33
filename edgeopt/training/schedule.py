"""The learning rate as a function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math

from edgeopt.training_pass import ONE_CYCLE_WARMUP, TrainingSettings


def learning_rate(settings: TrainingSettings, step: int, total: int) -> float:
    """The rate of step ``step`` (from 0) of ``total``.

    ``one-cycle`` is the shape of Smith and Topin (arXiv:1708.07120) with a linear rise; cosine
    is that of Loshchilov and Hutter (arXiv:1608.03983) without restarts.
    """
    warmup = settings.warmup
    if warmup is None:
        warmup = ONE_CYCLE_WARMUP if settings.schedule == "one-cycle" else 0.0
    rising = warmup * total
    if step < rising:
        return settings.lr * (step + 1) / (rising + 1)
    if settings.schedule == "constant":
        return settings.lr
    if settings.schedule == "step":
        return settings.lr * settings.decay ** sum(step >= at * total for at in settings.decay_at)
    along = (step - rising) / max(1.0, total - rising)
    return settings.lr * 0.5 * (1 + math.cos(math.pi * along))
