"""Changed copies of images: moved, mirrored, with a blank patch; the same for the same seed."""

from __future__ import annotations

from typing import Any

import torch

from edgeopt.schema.errors import PassError
from edgeopt.training.samples import derived
from edgeopt.training_pass import TrainingSettings


def augmented(
    inputs: dict[str, Any], settings: TrainingSettings, seed: int, step: int
) -> dict[str, Any]:
    """The inputs with their images, (b, c, h, w) floats, changed; all images alike.

    Borders are repeated where an image moves away from them; a patch (DeVries and Taylor,
    arXiv:1708.04552) takes the image's mean. Raises PassError where no input is an image.
    """
    if not settings.augmented:
        return inputs
    images = {n: x for n, x in inputs.items() if x.ndim == 4 and x.is_floating_point()}
    if not images:
        raise PassError(
            "no input is an image, (batch, channels, height, width)",
            hint="Leave out shift, mirror and erase, or train by a step of your own.",
        )
    generator = torch.Generator().manual_seed(derived(seed, "augment", step))
    count = len(next(iter(images.values())))
    draws = torch.rand(5, count, generator=generator)
    return {n: _changed(x, settings, draws) if n in images else x for n, x in inputs.items()}


def _changed(x: Any, settings: TrainingSettings, draws: Any) -> Any:
    """Images (b, c, h, w) by draws (5, b) from [0, 1)."""
    b, c, h, w = x.shape
    span = 2 * settings.shift + 1
    rows = torch.arange(h) + (draws[0] * span).long()[:, None] - settings.shift
    columns = torch.arange(w) + (draws[1] * span).long()[:, None] - settings.shift
    rows, columns = rows.clamp(0, h - 1), columns.clamp(0, w - 1)
    if settings.mirror:
        columns = torch.where((draws[2] < 0.5)[:, None], columns.flip(-1), columns)
    images = x[
        torch.arange(b)[:, None, None, None],
        torch.arange(c)[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]
    if settings.erase:
        inside = [
            _within(settings.erase, size, draw) for size, draw in ((h, draws[3]), (w, draws[4]))
        ]
        patch = inside[0][:, None, :, None] & inside[1][:, None, None, :]
        images = torch.where(patch, images.mean(dim=(1, 2, 3), keepdim=True), images)
    return images


def _within(side: int, size: int, draw: Any) -> Any:
    """(b, size): where a patch lies along an axis; it may stick out over the border."""
    start = (draw * (size + side)).long()[:, None] - side
    line = torch.arange(size)
    return (line >= start) & (line < start + side)
