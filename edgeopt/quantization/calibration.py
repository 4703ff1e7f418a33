"""The samples that ranges are found on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from edgeopt.agent.feeds import as_fed
from edgeopt.schema.errors import DataError
from edgeopt.step import PassContext


class Reader:
    """What ONNX Runtime calls a CalibrationDataReader: feeds, then None."""

    def __init__(self, feeds: Iterable[Mapping[str, Any]]) -> None:
        self.feeds = iter(feeds)

    def get_next(self) -> Mapping[str, Any] | None:
        return next(self.feeds, None)


def batches(ctx: PassContext, samples: int, size: int = 1) -> Iterator[dict[str, Any]]:
    """The calibration samples in the model's fixed batch, else as many at a time as ``size`` says
    or there are. Raises DataError."""
    arrays: Mapping[str, Any] = ctx.data("calibration")
    signature = ctx.description.signature
    for tensor in signature.inputs:
        if tensor.name not in arrays:
            raise DataError(f"no calibration data for the model's input '{tensor.name}'")
    held = min(samples, *(len(arrays[t.name]) for t in signature.inputs))
    batch = signature.batch_of(ctx.axes) or max(1, min(size, held))
    count = held // batch * batch
    if not count:
        raise DataError(f"too few calibration samples: the model takes {batch} at a time")
    for start in range(0, count, batch):
        ctx.progress(start, count, samples=count)
        rows = {t.name: arrays[t.name][start : start + batch] for t in signature.inputs}
        yield as_fed(rows, ctx.axes)
