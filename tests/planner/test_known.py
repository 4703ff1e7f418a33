"""What is known of the data before a plan is made."""

from __future__ import annotations

import pytest

from edgeopt.planner import Known
from edgeopt.schema.artifact import Description, Signature
from edgeopt.schema.job import ArrayRef, Arrays

SOURCE = Description(format="onnx", signature=Signature(inputs=(), outputs=()))


@pytest.mark.parametrize(("lengths", "one"), [((7, 7), True), ((7, 9), False)])
def test_data_has_one_size_where_all_splits_have_it(lengths: tuple[int, ...], one: bool) -> None:
    raw = {
        split: Arrays(
            split=split,
            n=n,
            arrays={"ids": ArrayRef(blob="0" * 64, dtype="int64", shape=(n, length))},
        )
        for (split, n), length in zip((("validation", 4), ("test", 5)), lengths, strict=True)
    }
    known = Known(SOURCE, "open", raw, {}, (), "x86_64", lambda name: "1")
    assert known.one_size is one
