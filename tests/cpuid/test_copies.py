"""Runtimes that see an older CPU: their kernels, their answers, and code that is left as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from passes_bench import network

from edgeopt import cpuid
from edgeopt.agent import machine

pytest.importorskip("capstone")
openvino = pytest.importorskip("openvino")
from edgeopt.cpuid import copies  # noqa: E402

pytestmark = pytest.mark.extras
HAS = machine.facts()["features"]
needs_avx2 = pytest.mark.skipif("avx2" not in HAS, reason="this CPU has no AVX2 to hide")
ASK = """
import json, sys, numpy as np, openvino, onnxruntime
x = np.random.default_rng(0).normal(size=(1, 8, 12, 12)).astype(np.float32)
compiled = openvino.Core().compile_model(sys.argv[1], "CPU")
kinds = {str(getattr(n.get_rt_info()["primitiveType"], "value", "")) for n in
         compiled.get_runtime_model().get_ops()}
session = onnxruntime.InferenceSession(sys.argv[1])
print(json.dumps([sorted(kinds), compiled([x])[0].tolist(), session.run(None, {"x": x})[0].tolist(),
                  openvino.__file__]))
"""


def asked(file: Path, more: dict[str, str]) -> tuple[list[str], list[float], list[float], str]:
    """Kernels of OpenVINO, its answers, ONNX Runtime's, and where it was imported from."""
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(file)], env={**clean, **more}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    kinds, by_openvino, by_onnxruntime, place = json.loads(done.stdout.splitlines()[-1])
    return kinds, by_openvino[0], by_onnxruntime[0], place


@needs_avx2
def test_kernels_are_those_of_an_older_cpu_and_answers_stay(tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "model.onnx")
    plain = asked(tmp_path / "model.onnx", {})
    older = asked(tmp_path / "model.onnx", copies.environment(cpuid.in_words("sse4_1")))
    assert any("avx" in kind for kind in plain[0])
    assert any("sse" in kind for kind in older[0]) and not any("avx" in kind for kind in older[0])
    assert older[1] == pytest.approx(plain[1], rel=1e-4, abs=1e-4)
    assert older[2] == pytest.approx(plain[2], rel=1e-4, abs=1e-4)
    assert Path(older[3]).is_relative_to(copies.home())


@needs_avx2
def test_with_nothing_hidden_kernels_are_the_same(tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "model.onnx")
    plain, same = (asked(tmp_path / "model.onnx", more) for more in ({}, copies.environment("")))
    assert plain[:3] == same[:3]


def test_bytes_that_are_no_instruction_stay_and_the_runtimes_own_files_too(tmp_path: Path) -> None:
    """``mov eax, 0x0fa20fa2`` holds CPUID's bytes twice; only the instruction behind it counts."""
    nops, load, cpuid_, ret = b"\x90" * 400, b"\xb8\xa2\x0f\xa2\x0f", b"\x0f\xa2", b"\xc3"
    code = nops + load + b"\x90" * 400 + cpuid_ + ret
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    header[32:40] = (64).to_bytes(8, "little")
    header[54:58] = (56).to_bytes(2, "little") + (1).to_bytes(2, "little")
    program = b"".join(
        n.to_bytes(size, "little")
        for n, size in [(1, 4), (5, 4), (120, 8), (120, 8), (120, 8), (len(code), 8),
                        (len(code), 8), (16, 8)]
    )  # fmt: skip
    file, link = tmp_path / "own.so", tmp_path / "copy.so"
    file.write_bytes(bytes(header) + program + code)
    before = file.read_bytes()
    os.link(file, link)
    assert copies.patch(link) == 1
    assert file.read_bytes() == before
    at = 120 + len(nops) + len(load) + 400
    assert link.read_bytes() == before[:at] + copies.MARK + before[at + 2 :]


@pytest.mark.parametrize(
    ("isa", "features", "older"),
    [
        ("avx2", ["sse4_1", "avx2"], False),
        ("avx2", ["sse4_1", "avx2", "avx_vnni"], True),
        ("avx2", ["sse4_1", "avx2", "avx512f", "avx512_vnni"], True),
        ("avx512f", ["sse4_1", "avx2", "avx512f"], False),
        ("avx512f", ["sse4_1", "avx2", "avx_vnni"], None),
        ("avx2", ["sse4_1"], None),
    ],
)
def test_an_isa_is_older_than_a_cpu_that_has_more(
    isa: str, features: list[str], older: bool | None
) -> None:
    assert cpuid.is_older(isa, features) is older


def test_what_is_left_names_nothing_newer() -> None:
    has = ["sse4_1", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "amx_int8", "avx_vnni"]
    assert cpuid.left("avx2", has) == ("sse4_1", "avx", "avx2", "fma", "f16c")
    assert cpuid.left("avx512f", has) == ("sse4_1", "avx", "avx2", "fma", "f16c", "avx512f")
    assert cpuid.left("sse4_1", has) == ("sse4_1",)
