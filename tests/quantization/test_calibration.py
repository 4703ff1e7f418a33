from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from passes_bench import Context

from edgeopt.quantization.calibration import batches, tell_if_few
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


def test_nan_is_refused_by_input_and_sample() -> None:
    broken = rows(5)
    broken[3, 1] = np.nan
    with pytest.raises(DataError, match="calibration sample 3 of input 'y' holds NaN"):
        list(batches(context("batch", x=rows(5), y=broken), 512))


def test_samples_that_tell_nothing_apart_are_refused() -> None:
    same = np.full((3, 2), 7.0, np.float32)
    with pytest.raises(DataError, match="'x' is always 7, 'y' is always 7"):
        list(batches(context("batch", x=same, y=same), 512))
    assert len(list(batches(context("batch", x=same, y=rows(3)), 512))) == 3, "a rate, say"


@pytest.mark.parametrize(("n", "told"), [(1, "100%"), (8, "22%"), (38, "5%"), (39, ""), (512, "")])
def test_few_samples_are_told_with_the_number_that_would_do(n: int, told: str) -> None:
    ctx = context("batch", x=rows(n), y=rows(n))
    tell_if_few("quantize-int8", ctx, 512)
    notes = ctx.found.get("notes", [])
    assert bool(notes) == bool(told)
    assert all(
        f"up to {told} of new samples" in note and "39 would bring" in note for note in notes
    )


def test_new_samples_pass_the_range_of_n_as_often_as_is_told() -> None:
    """2 / (n + 1) for any distribution without repeats: here a skewed one."""
    drawn = np.random.default_rng(0).lognormal(size=(40_000, 10))
    known, new = drawn[:, :-1], drawn[:, -1]
    beyond = (new < known.min(axis=1)) | (new > known.max(axis=1))
    assert beyond.mean() == pytest.approx(2 / 10, abs=0.01)
