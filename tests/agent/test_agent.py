"""The agent alone: what it may import, which Python reads it, how it frames what it says."""

from __future__ import annotations

import ast
import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgeopt.agent import protocol

FOLDER = Path(protocol.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(FOLDER)))
def test_python_3_8_reads_every_file_and_none_imports_edgeopt(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        assert not [name for name in names if name.split(".")[0] == "edgeopt"]


def test_a_copy_of_the_folder_alone_answers(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import sys, runpy; sys.argv[1:] = ['.']; runpy.run_module('agent', run_name='__main__')"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write(protocol.pack({"do": "hello"}) + protocol.pack({"do": "dance"}))
        stream = io.BufferedReader(process.stdout)  # type: ignore[type-var]
        hello, _ = protocol.unpack(stream.read)
        unknown, _ = protocol.unpack(stream.read)
        process.kill()
    assert hello["ok"]["protocol"] == protocol.VERSION
    assert "onnxruntime" in hello["ok"]["runtimes"]
    assert unknown["error"]["type"] == "DeviceError"


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
