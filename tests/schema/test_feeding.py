from __future__ import annotations

from typing import Any

import pytest

from edgeopt.schema.artifact import Tensor
from edgeopt.schema.feeding import Input, Output, Scaling, batched, spelled

IMAGE = Tensor(name="image", dtype="float32", shape=(1, 28, 28, 1), layout="NHWC")
SCORES = Tensor(name="scores", dtype="float32", shape=("batch", 2))
BY_255 = Scaling(divide=(255.0,))


def fed(**given: Any) -> Input:
    form = {
        "tensor": IMAGE, "array": "images", "raw_dtype": "uint8", "raw_shape": (28, 28),
        "raw_layout": "NHW", **given,
    }  # fmt: skip
    return Input.model_validate(form)


@pytest.mark.parametrize(
    ("subtract", "divide", "told"),
    [
        ((), (255.0,), "x / 255"),
        ((0.286,), (0.353,), "(x - 0.286) / 0.353"),
        ((0.5, 0.4), (0.25,), "(x - [0.5, 0.4]) / 0.25 by channel"),
        ((), (1 / 3, 2.0), "x / [0.333333333, 2] by channel"),
    ],
)
def test_a_scaling_is_a_formula(
    subtract: tuple[float, ...], divide: tuple[float, ...], told: str
) -> None:
    assert Scaling(subtract=subtract, divide=divide).formula == told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "'images', uint8 (28, 28) HW"),
        ({"raw_layout": ""}, "'images', uint8 (28, 28)"),
        ({"decoded": "RGB, resized"}, "'images', uint8 (28, 28) HW, RGB, resized"),
    ],
)
def test_raw_values_are_told_without_their_batch(given: dict[str, Any], told: str) -> None:
    assert fed(**given).raw == told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"raw_dtype": "float32"}, "as it is"),
        ({}, "as float32"),
        ({"steps": (BY_255, Scaling(subtract=(0.5,), divide=(0.25,)))},
         "x / 255, then (x - 0.5) / 0.25, in float32"),
    ],
)  # fmt: skip
def test_steps_are_told_in_order(given: dict[str, Any], told: str) -> None:
    assert fed(**given).made == told


@pytest.mark.parametrize(
    ("dtype", "zero", "told"),
    [
        ("int8", -128, "round(x / 0.02) - 128, held within -128 to 127"),
        ("uint8", 5, "round(x / 0.02) + 5, held within 0 to 255"),
        ("int16", None, "round(x / 0.02) + 0"),
    ],
)
def test_codes_are_told_by_scale_and_zero_point(dtype: str, zero: int | None, told: str) -> None:
    tensor = Tensor(name="image", dtype=dtype, shape=(1, 4), scale=0.02, zero_point=zero)
    assert fed(tensor=tensor, quantized=True).made == told
    stepped = fed(tensor=tensor, quantized=True, steps=(BY_255,))
    assert stepped.made == f"x / 255, in float32, then {told}"
    assert "round" not in fed(tensor=tensor).made, "raw values that are codes already"


@pytest.mark.parametrize(
    ("probabilities", "told"),
    [(True, "a probability"), (False, "do not sum to 1"), (None, "a score for each class, the")],
)
def test_scores_are_told_as_what_they_are_with_their_classes(
    probabilities: bool | None, told: str
) -> None:
    read = Output(
        tensor=SCORES, of="scores", kind="classes", classes=("cat", "dog"),
        probabilities=probabilities,
    ).read  # fmt: skip
    assert told in read
    assert read.endswith("the highest is the answer: 0 cat, 1 dog")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, ""),
        ({"label": "price", "kind": "values"}, "the values of 'price'"),
        ({"label": "mask"}, "held against 'mask'"),
        ({"scale": 0.5, "zero_point": 7}, "real values are 0.5 * (code - 7)"),
        ({"scale": 0.5, "zero_point": -7, "label": "price", "kind": "values"},
         "real values are 0.5 * (code + 7); the values of 'price'"),
    ],
)  # fmt: skip
def test_an_output_is_told_as_far_as_it_is_known(given: dict[str, Any], told: str) -> None:
    tensor = SCORES.model_copy(
        update={name: given.pop(name) for name in ("scale", "zero_point") if name in given}
    )
    assert Output(tensor=tensor, of="scores", **given).read == told


def test_a_tensor_is_spelled_with_its_batch() -> None:
    assert spelled(IMAGE) == "float32 (1, 28, 28, 1) NHWC"
    assert batched(IMAGE) == "float32 (1, 28, 28, 1) NHWC, batch fixed at 1"
    assert batched(SCORES) == "float32 (batch, 2), any batch"
    assert batched(Tensor(name="s", dtype="float32", shape=())) == "float32 ()"
