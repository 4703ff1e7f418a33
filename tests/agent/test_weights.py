"""The header of a safetensors file, read without the library."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import save

from edgeopt.agent.errors import AgentError
from edgeopt.agent.weights import read

CODES = {"float32": "F32", "float16": "F16", "int64": "I64", "uint8": "U8", "bool": "BOOL"}


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=6),
        st.sampled_from(sorted(CODES)).flatmap(
            lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=0, max_dims=3))
        ),
        min_size=1,
        max_size=3,
    )
)
def test_what_the_library_writes_is_read(given: dict[str, np.ndarray]) -> None:
    given = {name: np.ascontiguousarray(array) for name, array in given.items()}
    found = read(io.BytesIO(save(given, {"made": "by hand"})), "w.safetensors")
    assert set(found) == set(given)
    for name, array in given.items():
        code, shape, data = found[name]
        assert (code, shape, bytes(data)) == (
            CODES[str(array.dtype)], list(array.shape), array.tobytes(),
        )  # fmt: skip


def file(header: Any, data: bytes = b"") -> io.BytesIO:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return io.BytesIO(len(text).to_bytes(8, "little") + text + data)


def entry(**changed: Any) -> dict[str, Any]:
    return {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changed}}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (io.BytesIO(b"short"), "no safetensors header"),
        (io.BytesIO(b"\xff" * 64), "no safetensors header"),
        (file(b"{no json"), "the safetensors header is not JSON"),
        (file(b"[" * 99_999), "the safetensors header is not JSON"),
        (file(entry(dtype="F99"), bytes(8)), "not described as it must be"),
        (file(entry(data_offsets=[0]), bytes(8)), "not described as it must be"),
        (file({"x": []}, bytes(8)), "not described as it must be"),
        (file(entry(), bytes(7)), "do not fit its shape or the file"),
        (file(entry(shape=[3]), bytes(12)), "do not fit its shape or the file"),
        (file(entry(data_offsets=[8, 0]), bytes(8)), "do not fit its shape or the file"),
        (file(entry(data_offsets=[-8, 0]), bytes(8)), "do not fit its shape or the file"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(given: io.BytesIO, said: str) -> None:
    with pytest.raises(AgentError) as caught:
        read(given, "w.safetensors")
    assert said in caught.value.what and caught.value.kind == "ModelError"
    assert caught.value.where in ("w.safetensors", "w.safetensors: x")
