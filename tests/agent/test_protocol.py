"""Frames: read as they were written, and never where they were not."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgeopt.agent import protocol

KINDS = st.sampled_from([np.float32, np.float64, np.int8, np.uint8, np.int64, np.bool_, np.float16])


ARRAYS = KINDS.flatmap(
    lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0))
)


@given(
    st.dictionaries(st.text(min_size=1, max_size=8), ARRAYS, max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=3),
)
def test_frames_are_read_as_they_were_written(
    sent: dict[str, np.ndarray], header: dict[str, object]
) -> None:
    stream = io.BytesIO(protocol.pack({"ok": header}, sent))
    got, found = protocol.unpack(stream.read)
    assert got == {"ok": header}
    assert list(found) == list(sent)
    for name, array in sent.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
    assert stream.read() == b""


@given(st.binary(max_size=64), st.integers(0, 200))
def test_damaged_frames_never_pass(noise: bytes, cut: int) -> None:
    frame = protocol.pack({"ok": {"a": 1}}, {"x": np.arange(5)})
    broken = frame[:cut] + noise if cut < len(frame) else noise

    def read(stream: io.BytesIO, count: int) -> bytes:
        data = stream.read(count)
        if len(data) < count:
            raise EOFError
        return data

    stream = io.BytesIO(broken)
    try:
        header, found = protocol.unpack(lambda count: read(stream, count))
    except (protocol.ProtocolError, EOFError):
        return
    assert broken.startswith(frame) or (header, list(found)) != ({"ok": {"a": 1}}, [])


def frame(header: object, payload: bytes = b"", magic: bytes = protocol.MAGIC) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return protocol.PREFIX.pack(magic, len(text), len(payload)) + text + payload


def described(**changed: object) -> dict[str, object]:
    return {"arrays": [{"name": "x", "dtype": "int8", "shape": [2], **changed}]}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (frame({}, magic=b"HTTP"), "frame starts with b'HTTP'"),
        (protocol.PREFIX.pack(protocol.MAGIC, 1 << 30, 0), "frame claims"),
        (protocol.PREFIX.pack(protocol.MAGIC, 2, 1 << 40), "frame claims"),
        (frame(b"{'no': 1}"), "header is not JSON"),
        (frame(b'{"x": NaN}'), "NaN is not JSON"),
        (frame(b"[" * 100_000), "header is not JSON"),
        (frame([1]), "header is not a JSON object"),
        (frame({"arrays": 1}), "'arrays' is not a list"),
        (frame({"arrays": [{"name": "x"}]}, b"ab"), "an array is described by"),
        (frame(described(dtype="object"), b"ab"), "has dtype 'object'"),
        (frame(described(dtype=["int8"]), b"ab"), "has dtype"),
        (frame(described(shape=[-2]), b"ab"), "has shape"),
        (frame(described(shape=[True]), b"a"), "has shape"),
        (frame(described(shape=[1] * 99), b"a"), "has no shape"),
        (frame(described(name=1), b"ab"), "is not a name"),
        (frame({"arrays": described()["arrays"] * 2}, b"abcd"), "appears twice"),  # type: ignore[operator]
        (frame(described(), b"abc"), "do not account for 3 payload bytes"),
        (frame(described(shape=[1 << 28, 1 << 28]), b"ab"), "do not account"),
    ],
)  # fmt: skip
def test_an_unsound_frame_is_refused_before_its_bytes_are_used(data: bytes, said: str) -> None:
    with pytest.raises(protocol.ProtocolError, match=re.escape(said)):
        protocol.unpack(io.BytesIO(data).read)


@pytest.mark.parametrize(
    ("header", "arrays", "said"),
    [
        ({"arrays": []}, {}, "the frame's own field"),
        ({"x": float("nan")}, {}, "header is not JSON"),
        ({"x": object()}, {}, "header is not JSON"),
        ({}, {"x": np.array(["text"])}, "array 'x' has dtype"),
        ({"x": "a" * protocol.HEADER_MAX}, {}, "over the cap"),
    ],
)
def test_what_no_peer_could_read_is_not_sent(
    header: dict[str, object], arrays: dict[str, np.ndarray], said: str
) -> None:
    with pytest.raises(protocol.ProtocolError, match=said):
        protocol.pack(header, arrays)


def test_bytes_are_little_endian_whatever_the_arrays_were() -> None:
    array = np.array([1, 2], ">i4")
    data = protocol.pack({}, {"x": array})
    assert data.endswith(b"\1\0\0\0\2\0\0\0")
    _, found = protocol.unpack(io.BytesIO(data).read)
    assert found["x"].tolist() == [1, 2]
