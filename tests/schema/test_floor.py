"""Floors: what a recipe may ask for, and what a version is known to read."""

from __future__ import annotations

import pytest

from edgeopt.schema.errors import UsageError
from edgeopt.schema.floor import parse_floor


@pytest.mark.parametrize(
    ("text", "version", "opset", "ir"),
    [
        (">=1.15", "1.15.0", 18, 9),
        (">= 1.17.3", "1.17.3", 20, 9),
        (">=1.20", "1.20.0", 21, 10),  # as 1.18, the next older that is known
        (">=1.23.1", "1.23.1", 23, 11),
        (">=1.99", "1.99.0", 26, 13),
    ],
)
def test_a_floor_reads_what_the_next_older_known_version_does(
    text: str, version: str, opset: int, ir: int
) -> None:
    floor = parse_floor("onnxruntime", text)
    assert floor.version == version and dict(floor.reads) == {"opset": opset, "ir": ir}


def test_what_is_newer_is_refused_by_kind_and_number() -> None:
    floor = parse_floor("onnxruntime", ">=1.17")
    assert not floor.refuses({"opset": 20}) and not floor.refuses({})
    assert "opset 21 is newer than 20" in floor.refuses({"opset": 21})


@pytest.mark.parametrize(
    ("runtime", "text", "said"),
    [
        ("onnxruntime", "1.17", "'1.17' is no oldest version"),
        ("onnxruntime", "<2", "'<2' is no oldest version"),
        ("onnxruntime", ">=1.10", "older than 1.15, the first that is known of"),
        ("litert", ">=2.0", "nothing is known of versions of litert"),
        ("onnx", ">=1.17", "unknown runtime 'onnx'"),
    ],
)
def test_what_cannot_be_asked_for_is_told(runtime: str, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_floor(runtime, text)
