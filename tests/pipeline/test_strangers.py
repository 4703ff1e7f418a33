"""A board's outputs are a stranger's: of another kind than the model's they are an error."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt.pipeline.measure import _check_shapes
from edgeopt.schema.errors import DeviceError
from edgeopt.schema.target import parse_target

BOARD, HERE = parse_target("ssh:board/onnxruntime"), parse_target("local/onnxruntime")
SOURCE = {"logits": np.zeros((4, 10), np.float32)}


@pytest.mark.parametrize(
    "answer",
    [
        np.zeros((4, 5), np.float32),
        np.zeros((4, 10, 1), np.float32),
        np.zeros((4, 0), np.float32),
        np.zeros((4, 10), bool),
        np.zeros((4, 10), np.int64),
    ],
    ids=lambda array: f"{array.dtype}{list(array.shape)}",
)
def test_outputs_of_another_kind_are_the_boards_fault(answer: np.ndarray) -> None:
    with pytest.raises(DeviceError, match="a sample for 'logits', the source float32") as caught:
        _check_shapes(BOARD, {"logits": answer}, SOURCE)
    assert caught.value.where == str(BOARD)
    _check_shapes(HERE, {"logits": answer}, SOURCE)  # what runs here is checked as it is made


def test_outputs_of_the_same_kind_are_taken() -> None:
    _check_shapes(BOARD, {"logits": np.ones((4, 10), np.float16)}, SOURCE)
