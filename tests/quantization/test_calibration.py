from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from passes_bench import Context

from edgeopt.quantization.calibration import batches
from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.schema.errors import DataError


def context(batch: int | str, **arrays: Any) -> Context:
    inputs = tuple(Tensor(name=n, dtype="float32", shape=(batch, 2)) for n in ("x", "y"))
    described = Description(format="onnx", signature=Signature(inputs=inputs, outputs=()))
    return Context(Path(), described, arrays)


def rows(n: int) -> np.ndarray:
    return np.arange(2 * n, dtype=np.float32).reshape(n, 2)


def test_samples_come_one_by_one_where_the_batch_is_free() -> None:
    ctx = context("batch", x=rows(3), y=rows(3) + 100)
    found = list(batches(ctx, 512))
    assert [each["x"].tolist() for each in found] == [[[0, 1]], [[2, 3]], [[4, 5]]]
    assert found[1]["y"].tolist() == [[102, 103]]
    assert ctx.told == [0, 1, 2]


@pytest.mark.parametrize(("samples", "count"), [(512, 2), (4, 2), (3, 1), (2, 1)])
def test_a_fixed_batch_is_filled_and_the_rest_left(samples: int, count: int) -> None:
    found = list(batches(context(2, x=rows(5), y=rows(9)), samples))
    assert [len(each["x"]) for each in found] == [2] * count


def test_what_is_missing_is_named() -> None:
    with pytest.raises(DataError, match="no calibration data for the model's input 'y'"):
        list(batches(context("batch", x=rows(3)), 512))
    with pytest.raises(DataError, match="too few calibration samples: the model takes 4 at a time"):
        list(batches(context(4, x=rows(3), y=rows(3)), 512))
