"""The samples that ranges are found on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from edgeopt.agent.feeds import as_fed
from edgeopt.schema.base import counted
from edgeopt.schema.errors import DataError
from edgeopt.step import PassContext

BEYOND = 0.05  # share of new samples that may reach beyond a range before calibration is too small


class Reader:
    """What ONNX Runtime calls a CalibrationDataReader: feeds, then None."""

    def __init__(self, feeds: Iterable[Mapping[str, Any]]) -> None:
        self.feeds = iter(feeds)

    def get_next(self) -> Mapping[str, Any] | None:
        return next(self.feeds, None)


def batches(ctx: PassContext, samples: int, size: int = 1) -> Iterator[dict[str, Any]]:
    """The calibration samples in the model's fixed batch, else as many at a time as ``size`` says
    or there are.

    Raises DataError: for an input without samples, too few of them, NaN, and once all were given,
    where every input held one value throughout.
    """
    arrays: Mapping[str, Any] = ctx.data("calibration")
    signature = ctx.description.signature
    for tensor in signature.inputs:
        if tensor.name not in arrays:
            raise DataError(f"no calibration data for the model's input '{tensor.name}'")
    n = held(ctx, samples)
    batch = signature.batch_of(ctx.axes) or max(1, min(size, n))
    count = n // batch * batch
    if not count:
        raise DataError(f"too few calibration samples: the model takes {batch} at a time")
    ends: dict[str, tuple[float, float]] = {}  # least and largest value of each input
    for start in range(0, count, batch):
        ctx.progress(start, count, samples=count)
        rows = {t.name: arrays[t.name][start : start + batch] for t in signature.inputs}
        for name, values in rows.items():
            _refuse_nan(name, values, start)
            if values.size:
                low, high = ends.get(name, (np.inf, -np.inf))
                ends[name] = min(low, float(values.min())), max(high, float(values.max()))
        yield as_fed(rows, ctx.axes)
    if ends and all(low == high for low, high in ends.values()):
        said = ", ".join(f"'{name}' is always {low:g}" for name, (low, _) in ends.items())
        raise DataError(
            f"calibration samples tell nothing apart: {said}",
            hint="Give samples like those in the field; check data.source and preprocess.",
        )


def held(ctx: PassContext, samples: int) -> int:
    """How many calibration samples there are for every input, ``samples`` at most."""
    arrays: Mapping[str, Any] = ctx.data("calibration")
    return min(samples, *(len(arrays[t.name]) for t in ctx.description.signature.inputs))


def tell_if_few(name: str, ctx: PassContext, samples: int) -> None:
    """A note where the extremes of so few samples are passed often, with the number that would do.

    Of n + 1 samples in any order the last has the least or the largest value of a tensor with a
    chance of up to 2 / (n + 1), whatever the distribution (records of exchangeable samples: Rényi,
    Colloquium on Combinatorial Methods in Probability Theory, Aarhus 1962).
    """
    n = held(ctx, samples)
    beyond = 2 / (n + 1)
    if beyond <= BEYOND:
        return
    ctx.found.setdefault("notes", []).append(
        f"{name}: {counted(n, 'calibration sample')} {'is' if n == 1 else 'are'} few: in each "
        f"tensor up to {min(beyond, 1.0):.0%} of new samples reach beyond the range that was "
        f"found; {round(2 / BEYOND) - 1} would bring that to {BEYOND:.0%}"
    )


def _refuse_nan(name: str, rows: Any, start: int) -> None:
    if rows.dtype.kind == "f" and (bad := np.isnan(rows).reshape(len(rows), -1).any(axis=1)).any():
        raise DataError(
            f"calibration sample {start + int(bad.argmax())} of input '{name}' holds NaN",
            hint="Leave it out of data.splits.calibration, or mend the data.",
        )
