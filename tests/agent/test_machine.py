"""What the machine says of itself, held against what the kernel says."""

from __future__ import annotations

import os
import platform

import psutil
import pytest

from edgeopt.agent import machine


def test_facts_are_the_kernels_own() -> None:
    facts = machine.facts()
    assert facts["memory_bytes"] == psutil.virtual_memory().total
    assert (facts["system"], facts["kernel"]) == (platform.system(), platform.release())
    assert 1 <= facts["cores"] <= len(os.sched_getaffinity(0))
    assert facts["isa"].partition("-")[0] == platform.machine()
    assert facts["features"] == sorted(facts["features"])


@pytest.mark.parametrize(
    ("architecture", "flags", "isa"),
    [
        ("x86_64", ["avx2", "sse4_1"], "x86_64-avx2"),
        ("x86_64", ["sse4_1", "avx2", "avx512f", "avx512_vnni"], "x86_64-avx512_vnni"),
        ("x86_64", ["avx_vnni", "avx2"], "x86_64-avx_vnni"),
        ("aarch64", ["fp", "asimd"], "aarch64-asimd"),
        ("aarch64", ["asimd", "asimddp", "i8mm"], "aarch64-i8mm"),
        ("aarch64", ["avx2"], "aarch64"),
        ("riscv64", ["v"], "riscv64"),
    ],
)
def test_an_isa_is_named_by_its_most_telling_feature(
    architecture: str, flags: list[str], isa: str
) -> None:
    assert machine.isa(architecture, flags) == isa


def test_no_more_cores_than_the_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert machine.cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_state_and_load_are_plausible_or_untold() -> None:
    state = machine.state()
    assert set(state) == {"temperature_c", "frequency_mhz"}
    assert state["temperature_c"] is None or -50 < state["temperature_c"] < 150
    assert state["frequency_mhz"] is None or 10 < state["frequency_mhz"] < 20_000
    load = machine.load()
    assert load is not None and load >= 0
