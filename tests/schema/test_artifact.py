from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgeopt.schema.artifact import Artifact, Description, Dim, Signature, Tensor

IMAGE = Tensor(name="image", dtype="float32", shape=("batch", 1, 28, 28), layout="NCHW")
LOGITS = Tensor(name="logits", dtype="float32", shape=("batch", 10))


def described(*facts: str, inputs: tuple[Tensor, ...] = (IMAGE,), **more: Any) -> Description:
    signature = Signature(inputs=inputs, outputs=(LOGITS,))
    form = {"format": "onnx", "signature": signature, "facts": frozenset(facts), **more}
    return Description.model_validate(form)


def shaped(*shapes: tuple[Dim, ...]) -> Signature:
    inputs = tuple(Tensor(name=str(i), dtype="int8", shape=s) for i, s in enumerate(shapes))
    return Signature(inputs=inputs, outputs=())


@pytest.mark.parametrize(
    ("shapes", "dynamic", "batch"),
    [
        ([("batch", 3)], True, None),
        ([(4, 3)], False, 4),
        ([("batch", 3), (4, 3)], False, 4),  # one fixed input fixes the model
        ([()], False, None),
        ([(), (2,)], False, 2),
    ],
)
def test_a_batch_is_free_only_where_every_input_leaves_it_open(
    shapes: list[tuple[Dim, ...]], dynamic: bool, batch: int | None
) -> None:
    signature = shaped(*shapes)
    assert signature.dynamic_batch is dynamic
    assert signature.batch == batch


def test_codes_are_the_integer_inputs_of_quantized_borders_alone() -> None:
    code = Tensor(name="code", dtype="uint8", shape=(1, 4), scale=0.5, zero_point=3)
    inputs = (code, IMAGE)
    assert described("int8", "int8-io", inputs=inputs).codes == {"code"}
    assert described("int8", inputs=inputs).codes == set(), "tokens or pixels, not codes"


def test_equal_descriptions_do_not_differ_whatever_calibration_found() -> None:
    scaled = IMAGE.model_copy(update={"scale": 0.1, "zero_point": 7})
    assert described("qdq").differs(described("qdq", inputs=(scaled,))) == []


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (described("float32", format="tflite"), "format onnx against tflite"),
        (described("int8", "float32"), "facts ['float32'] against ['float32', 'int8']"),
        (
            described("float32", inputs=(IMAGE.model_copy(update={"layout": "NHWC"}),)),
            "inputs image:float32['batch', 1, 28, 28]NCHW against "
            "image:float32['batch', 1, 28, 28]NHWC",
        ),
    ],
)
def test_what_differs_is_told_with_both_sides(other: Description, told: str) -> None:
    assert described("float32").differs(other) == [told]
    assert len(other.differs(described("float32"))) == 1


@given(st.sets(st.text(max_size=5)))
def test_facts_are_written_in_one_order_and_read_back(facts: set[str]) -> None:
    made = described(*facts)
    assert made.to_json()["facts"] == sorted(facts)
    assert Description.model_validate(made.to_json()) == made


def test_an_artifact_is_named_by_format_paths_and_contents() -> None:
    files = {"model.onnx": "0" * 64, "weights.bin": "1" * 64}
    made = Artifact(format="onnx", files=files, size_bytes=8)
    turned = Artifact(format="onnx", files=dict(reversed(files.items())), size_bytes=9)
    assert made.digest == turned.digest
    others = [
        Artifact(format="torch", files=files, size_bytes=8),
        Artifact(format="onnx", files={**files, "weights.bin": "2" * 64}, size_bytes=8),
        Artifact(format="onnx", files={"other.onnx": "0" * 64}, size_bytes=8),
    ]
    assert len({made.digest, *(each.digest for each in others)}) == 4


def test_an_artifact_without_files_is_none() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        Artifact(format="onnx", files={}, size_bytes=0)


def test_the_batch_is_the_first_axis_unless_another_is_called_so() -> None:
    def tensor(*shape: int | str) -> Tensor:
        return Tensor(name="x", dtype="float32", shape=shape)

    assert tensor("time", "batch", 8).batch_axis == 1
    assert tensor("time", "batch", 8).batch_first.shape == ("batch", "time", 8)
    assert tensor(4, 8).batch_axis == 0 and tensor(4, 8).batch_first.shape == (4, 8)
    fixed = Signature(inputs=(tensor(5, "batch", 8),), outputs=())
    assert fixed.dynamic_batch and fixed.batch is None
    single = Signature(inputs=(tensor(), tensor("batch", 8)), outputs=())
    assert single.dynamic_batch and single.batch is None
    constant = Signature(inputs=(Tensor(name="r", dtype="int64", shape=(1,)), tensor(8, 2)),
                         outputs=())  # fmt: skip
    assert constant.batch_of({"r": None}) == 8


def test_an_output_whose_batch_lies_on_a_later_axis_has_samples() -> None:
    """Guards against (time, batch, values) taken for one answer to a whole batch."""
    x = Tensor(name="x", dtype="float32", shape=(7, "batch", 3))
    later = Tensor(name="y", dtype="float32", shape=(7, "batch", 2))
    table = Tensor(name="table", dtype="float32", shape=(7, 2))
    assert Signature(inputs=(x,), outputs=(later, table)).whole == {"table": (7, 2)}
