"""Sizes of free dimensions: asked for by name, given by name, and what is no such name."""

from __future__ import annotations

import pytest

from edgeopt.commands.sizes import free_sizes, sized
from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.schema.errors import UsageError


def model(**inputs: tuple[int | str, ...]) -> Description:
    tensors = tuple(Tensor(name=n, dtype="float32", shape=shape) for n, shape in inputs.items())
    return Description(format="onnx", signature=Signature(inputs=tensors, outputs=()))


BOTH = model(x=("batch", "time", 8), m=("batch", "time"), z=("batch", "z.1"))


def test_a_dimension_without_a_name_is_called_by_its_place() -> None:
    x, _, z = BOTH.signature.inputs
    assert free_sizes(x) == {1: "time"} and free_sizes(z) == {1: "z:1"}


@pytest.mark.parametrize("name", ["m:1", "time"])
def test_sizes_are_by_name_and_by_place(name: str) -> None:
    shapes = sized(BOTH, {"time": 5, "z:1": 7, name: 6})
    assert shapes == {"x": (6 if name == "time" else 5, 8), "m": (6,), "z": (7,)}


@pytest.mark.parametrize(
    ("sizes", "said", "hint"),
    [
        ({}, "need a size for 'time'", "--shape time=100"),
        ({"time": 4}, "need a size for 'z:1'", "--shape z:1=100"),
        (None, "need a size for 'time'", "with --data FILE.npz"),
        ({"tme": 4}, "no dimension 'tme' is free", "Did you mean 'time'"),
        ({"batch": 4}, "no dimension 'batch' is free", "?batch=4"),
        ({"x:2": 4}, "no dimension 'x:2' is free", ""),
    ],
)
def test_what_is_missing_or_unknown_is_named(
    sizes: dict[str, int] | None, said: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        sized(BOTH, sizes)
    assert hint in caught.value.hint and ("--shape" in caught.value.hint) <= (sizes is not None)


def test_a_model_without_free_sizes_needs_none() -> None:
    assert sized(model(x=("batch", 4), rate=()), {}) == {"x": (4,), "rate": ()}
