"""The counting plugin against programs whose every instruction is known."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import guest_programs as guest
import pytest

from edgeopt.devices.emulated import building
from edgeopt.devices.emulated.device import COUNTERS

pytestmark = pytest.mark.long  # needs QEMU

LOOPS = 1000

MACHINES: dict[str, tuple[str, int, Any, Any]] = {
    "cortex-a53": ("qemu-aarch64", 183, guest.arm_program, guest.ARM_BODY),
    "cortex-a76": ("qemu-aarch64", 183, guest.arm_program, guest.ARM_BODY | guest.SDOT),
    "Haswell": ("qemu-x86_64", 62, guest.x86_program, guest.X86_BODY),
}


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    building.ready_qemu(True, print)
    made = tmp_path_factory.mktemp("plugin") / "count.so"
    building._compile(made)
    return made


def run(plugin: Path, folder: Path, cpu: str, *options: str) -> list[list[int]]:
    """The counters at each mark, and at exit, of the known program."""
    qemu, machine, program, body = MACHINES[cpu]
    elf = guest.write_elf(folder / "guest", machine, program(body, LOOPS))
    out = folder / "counts"
    command = [qemu, "-cpu", cpu, "-plugin", f"{plugin},out={out}", *options, str(elf)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return [[int(word) for word in line.split()] for line in out.read_text().splitlines()]


@pytest.mark.parametrize("cpu", MACHINES)
def test_every_class_and_byte_is_counted_exactly(plugin: Path, tmp_path: Path, cpu: str) -> None:
    first, second, _ = run(plugin, tmp_path, cpu)
    counted = dict(zip(COUNTERS, [b - a for a, b in zip(first, second, strict=True)], strict=True))
    wanted: Counter[str] = Counter(dict.fromkeys(COUNTERS, 0))
    for kind, loaded, stored in MACHINES[cpu][3].values():
        wanted.update({kind: LOOPS, "loaded": loaded * LOOPS, "stored": stored * LOOPS})
    wanted.update(branch=LOOPS, scalar=LOOPS)  # the loop itself
    wanted.update(scalar=2)  # the second mark: its number, its call
    assert counted == dict(wanted)


@pytest.mark.parametrize("cpu", MACHINES)
def test_the_total_is_that_of_the_emulators_own_log(plugin: Path, tmp_path: Path, cpu: str) -> None:
    log = tmp_path / "log"
    single = "-singlestep" if building.qemu_version() < "8.1" else "-one-insn-per-tb"
    counts = run(plugin, tmp_path, cpu, single, "-d", "nochain,exec", "-D", str(log))
    logged = sum(line.startswith("Trace") for line in log.read_text().splitlines())
    total = sum(counts[-1][:5])
    assert abs(total - logged) <= 0.005 * logged


def test_a_run_repeats_to_the_instruction(plugin: Path, tmp_path: Path) -> None:
    folders = [tmp_path / str(index) for index in range(20)]
    for folder in folders:
        folder.mkdir()
    totals = [sum(run(plugin, folder, "cortex-a53")[-1][:5]) for folder in folders]
    assert max(totals) - min(totals) <= 0.001 * max(totals)


def test_a_plugin_without_a_file_to_write_refuses(plugin: Path, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run(plugin, tmp_path, "cortex-a53", "-plugin", f"{plugin},out=/no/such/folder/counts")
    assert b"a file that can be written" in caught.value.stderr
