"""Older CPUs at real speed: newer instructions hidden from runtimes on x86-64.

Runtimes ask CPUID what a machine has and choose their kernels by it. Copies of their libraries in
the user's cache have two other bytes in place of each CPUID instruction, which the CPU refuses; a
signal handler (``answer.c``) then gives CPUID's answer without the hidden bits. All else runs as it
is. The copies are made on this machine and never shipped. Other code, such as numpy's, sees the CPU
as it is. Bits are those of Intel's Software Developer's Manual, volume 2A, CPUID.
"""

from __future__ import annotations

from collections.abc import Iterable

from edgeopt.agent.machine import ISA_LEVELS

ANY = 0xFFFFFFFF  # subleaf
EAX, EBX, ECX, EDX = range(4)
Bits = tuple[int, int, int, int]  # leaf, subleaf, register, mask


def _mask(*bits: int) -> int:
    return sum(1 << bit for bit in bits)


NEWER_INT8: tuple[Bits, ...] = (  # VNNI in all its forms, AMX, bfloat16
    (7, 0, ECX, _mask(11)),
    (7, 0, EDX, _mask(2, 3, 22, 24, 25)),
    (7, 1, EAX, _mask(4, 5, 21, 22, 23)),
    (7, 1, EDX, _mask(4, 5, 8, 10)),
    (0x1D, ANY, EAX, ANY),
    (0x1E, ANY, EBX, ANY),
)
AVX512: tuple[Bits, ...] = (
    (7, 0, EBX, _mask(16, 17, 21, 26, 27, 28, 30, 31)),
    (7, 0, ECX, _mask(1, 6, 12, 14)),
    (7, 0, EDX, _mask(8, 23)),
    (7, 1, EDX, _mask(19, 21)),
    (0x24, ANY, EBX, ANY),
)
AVX: tuple[Bits, ...] = (  # AVX, AVX2, FMA, 16-bit floats, wide AES
    (1, ANY, ECX, _mask(12, 28, 29)),
    (7, 0, EBX, _mask(5)),
    (7, 0, ECX, _mask(9, 10)),
)
HIDDEN: dict[str, tuple[Bits, ...]] = {  # an ISA -> what is newer
    "avx512f": NEWER_INT8,
    "avx2": (*NEWER_INT8, *AVX512),
    "sse4_1": (*NEWER_INT8, *AVX512, *AVX),
}
NEWER: dict[str, tuple[str, ...]] = {  # the same by the kernel's names, as they begin
    "avx512f": ("avx512_vnni", "avx_vnni", "amx", "avx512_bf16", "avx_ifma", "avx_ne"),
    "avx2": ("avx512", "avx_vnni", "amx", "avx10", "avx_ifma", "avx_ne"),
    "sse4_1": ("avx", "amx", "fma", "f16c", "vaes", "vpclmulqdq"),
}


def in_words(isa: str) -> str:
    """What is hidden, as ``answer.c`` reads it."""
    return ",".join(".".join(f"{number:x}" for number in bits) for bits in HIDDEN[isa])


def left(isa: str, features: Iterable[str]) -> tuple[str, ...]:
    """The CPU features that a runtime still sees."""
    return tuple(name for name in features if not name.startswith(NEWER[isa]))


def is_older(isa: str, features: Iterable[str]) -> bool | None:
    """Whether a CPU has more than an ISA, by its features; None where it has not even that."""
    levels, has = ISA_LEVELS["x86_64"], set(features)
    if isa not in has:
        return None
    return bool(has.intersection(levels[: levels.index(isa)]))
