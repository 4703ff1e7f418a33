"""Copies of runtimes whose CPUID instructions are answered by a signal handler."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import platformdirs

from edgeopt.schema.errors import DeviceError
from edgeopt.schema.runtime import Runtime, runtimes

CPUID, MARK = b"\x0f\xa2", b"\xd6\xa2"  # the mark is no instruction in 64-bit code
BEFORE = range(100, 400, 3)  # bytes from which code is read, to see where instructions begin
INSTRUCTION = 0.5  # share of these readings that must find one there
LARGEST = 400_000_000  # bytes of a runtime that is copied: torch takes more than it is worth
VERSION = "1"  # of what is done to the copies
HOW = "pip install 'edgeopt[isa]'"
LOADABLE, EXECUTABLE = 1, 1  # of a program header: PT_LOAD, PF_X


def home() -> Path:
    """Where copies and the compiled handler lie."""
    return platformdirs.user_cache_path("edgeopt") / "isa"


@cache
def copies() -> tuple[Path, ...]:
    """A folder to import from for each runtime here that may be copied, made where it is missing;
    looked for once a process, since every agent starts with them.

    Raises DeviceError where the disassembler is missing or a copy cannot be written.
    """
    try:
        packages = filter(None, map(_package, runtimes().values()))
        return tuple(map(_copy, packages))
    except OSError as error:
        raise DeviceError(
            f"cannot copy the runtimes that 'isa' hides instructions from: {error.strerror}",
            where=str(home()),
        ) from error


def handler() -> Path:
    """The signal handler, compiled where it is missing. Raises DeviceError without a compiler."""
    source = (files("edgeopt.cpuid") / "answer.c").read_bytes()
    made = home() / f"answer-{hashlib.sha256(source).hexdigest()[:12]}.so"
    if made.is_file():
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    rough = made.with_suffix(f".{os.getpid()}")
    compiler = os.environ.get("CC", "cc")
    with as_file(files("edgeopt.cpuid") / "answer.c") as file:
        command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(rough), str(file)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise DeviceError(
                f"'isa' needs a C compiler, and '{compiler}' does not start: {error.strerror}",
                hint="install gcc or clang, or name one in CC",
            ) from error
    if done.returncode:
        raise DeviceError(f"'{compiler}' cannot compile the handler of 'isa'",
                          hint=done.stderr.strip()[-600:])  # fmt: skip
    rough.replace(made)
    return made


def modules(runtime: Runtime) -> list[str]:
    """The packages that a runtime may come as."""
    return [module.partition(".")[0] for module in runtime.modules]


def _package(runtime: Runtime) -> Path | None:
    """The folder of a runtime's package; None where it is not here, or too large."""
    if not runtime.every:
        return None
    for module in modules(runtime):
        spec = importlib.util.find_spec(module)
        places = list(spec.submodule_search_locations or ()) if spec else []
        if places:
            folder = Path(places[0])
            return folder if _size(folder) <= LARGEST else None
    return None


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def _copy(package: Path) -> Path:
    """The folder that holds the copy of a package, by what the package holds."""
    libraries = sorted(p for p in package.rglob("*.so*") if p.is_file())
    known = hashlib.sha256(VERSION.encode())
    for each in libraries:
        stat = each.stat()
        known.update(f"{each} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    place = home() / f"{package.name}-{known.hexdigest()[:12]}"
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    rough = Path(tempfile.mkdtemp(prefix=f"{package.name}-", dir=place.parent))
    try:
        shutil.copytree(package, rough / package.name, symlinks=True, copy_function=_linked,
                        ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
        for each in libraries:
            patch(rough / package.name / each.relative_to(package))
        try:
            rough.replace(place)
        except OSError:  # another process was first
            if not place.is_dir():
                raise
    finally:
        shutil.rmtree(rough, ignore_errors=True)
    return place


def _linked(source: str, target: str) -> str:
    """A hard link, or a copy where there can be none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def patch(file: Path) -> int:
    """Put the mark in place of each CPUID instruction of a library; how many there were.

    The file is replaced, since it may be a link to the runtime's own.
    """
    content = file.read_bytes()
    places = list(instructions(content))
    if places:
        changed = bytearray(content)
        for at in places:
            changed[at : at + 2] = MARK
        rough = file.with_name(f"{file.name}.rough")
        rough.write_bytes(changed)
        shutil.copymode(file, rough)
        rough.replace(file)
    return len(places)


def instructions(content: bytes) -> Iterator[int]:
    """Where CPUID instructions begin in an x86-64 ELF file.

    The two bytes also lie within other instructions. Code is read from many places before each:
    x86 code falls into step within a few instructions, so where one begins most readings agree.
    """
    disassembler = _disassembler()
    for start, size in _code(content):
        at = content.find(CPUID, start, start + size)
        while at >= 0:
            begins = [at - back for back in BEFORE if at - back >= start]
            agree = sum(_finds(disassembler, content, begin, at) for begin in begins)
            if begins and agree / len(begins) > INSTRUCTION:
                yield at
            at = content.find(CPUID, at + 1, start + size)


def _finds(disassembler: object, content: bytes, begin: int, at: int) -> bool:
    read = disassembler.disasm_lite(content[begin : at + 2], begin)  # type: ignore[attr-defined]
    return any(address == at and name == "cpuid" for address, _, name, _ in read)


def _code(content: bytes) -> Iterator[tuple[int, int]]:
    """Offset and size of the executable parts of a 64-bit little-endian ELF file."""
    if content[:6] != b"\x7fELF\x02\x01":
        return
    (table,) = struct.unpack_from("<Q", content, 32)
    each, count = struct.unpack_from("<HH", content, 54)
    for index in range(count):
        kind, flags, offset, _, _, size = struct.unpack_from(
            "<IIQQQQ", content, table + index * each
        )
        if kind == LOADABLE and flags & EXECUTABLE:
            yield offset, size


def _disassembler() -> object:
    try:
        import capstone  # of an extra
    except ImportError as error:
        raise DeviceError("'isa' needs capstone, which is not installed", hint=HOW) from error
    return capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)


def environment(hides: str) -> dict[str, str]:
    """Variables that start a Python whose runtimes see less; ``hides`` is of ``cpuid.in_words``.

    ``PYTHONPATH`` leads to the copies first. Raises DeviceError.
    """
    if sys.platform != "linux":
        raise DeviceError("'isa' hides instructions on Linux alone")
    return {
        "LD_PRELOAD": str(handler()),
        "EDGEOPT_CPUID_HIDES": hides,
        "PYTHONPATH": os.pathsep.join(map(str, copies())),
    }
