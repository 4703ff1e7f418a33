"""Training: the loop that passes share, from settings, samples and a loss to weights."""

from __future__ import annotations

from edgeopt.training.loop import Fitted, Progress, Score, fit
from edgeopt.training.losses import supervised, validation
from edgeopt.training.samples import Batch, Samples, samples_of
from edgeopt.training_pass import TrainingSettings

__all__ = [
    "Batch",
    "Fitted",
    "Progress",
    "Samples",
    "Score",
    "TrainingSettings",
    "fit",
    "samples_of",
    "supervised",
    "validation",
]
