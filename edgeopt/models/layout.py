"""Where the channels of an image tensor stand."""

from __future__ import annotations

from collections.abc import Sequence

from edgeopt.schema.artifact import Dim

CHANNELS = (1, 3, 4)  # gray, colour, colour with alpha


def image_layout(shape: Sequence[Dim]) -> str:
    """``NCHW``, ``NHWC`` or, where a rank-4 shape shows no image channels, empty.

    A shape that can be read both ways, such as (batch, 3, 64, 3), is NCHW.
    """
    if len(shape) != 4:
        return ""
    if shape[1] in CHANNELS:
        return "NCHW"
    return "NHWC" if shape[3] in CHANNELS else ""
