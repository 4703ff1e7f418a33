"""Guest programs of a few instructions, written as words: what they execute is known exactly."""

from __future__ import annotations

import struct
from pathlib import Path

MARK = 60782
# Each body: code of one instruction -> (class, bytes loaded, bytes stored).
ARM_BODY = {
    0x4E22CC20: ("vector_mac", 0, 0),  # fmla v0.4s, v1.4s, v2.4s
    0x0E628020: ("vector_mac", 0, 0),  # smlal v0.4s, v1.4h, v2.4h
    0x4F821020: ("vector_mac", 0, 0),  # fmla v0.4s, v1.4s, v2.s[0]
    0x4EA28423: ("vector_other", 0, 0),  # add v3.4s, v1.4s, v2.4s
    0x3DC00024: ("load_store", 16, 0),  # ldr q4, [x1]
    0xB9000025: ("load_store", 0, 4),  # str w5, [x1]
    0xA9401C26: ("load_store", 16, 0),  # ldp x6, x7, [x1]
    0x4C40A020: ("load_store", 32, 0),  # ld1 {v0.16b, v1.16b}, [x1]
    0xAD000420: ("load_store", 0, 32),  # stp q0, q1, [x1]
    0x39400029: ("load_store", 1, 0),  # ldrb w9, [x1]
    0x1F020C20: ("scalar", 0, 0),  # fmadd s0, s1, s2, s3
    0x9B020C2A: ("scalar", 0, 0),  # madd x10, x1, x2, x3
    0x14000001: ("branch", 0, 0),  # b to the next
}
SDOT = {0x4E829420: ("vector_mac", 0, 0)}  # sdot v0.4s, v1.16b, v2.16b: from ARMv8.2 on
X86_BODY = {
    b"\xc4\xe2\x75\xb8\xc2": ("vector_mac", 0, 0),  # vfmadd231ps ymm0, ymm1, ymm2
    b"\xc4\xe2\x75\x04\xc2": ("vector_mac", 0, 0),  # vpmaddubsw ymm0, ymm1, ymm2
    b"\xc5\xf5\xfe\xda": ("vector_other", 0, 0),  # vpaddd ymm3, ymm1, ymm2
    b"\xc5\xfc\x10\x24\x24": ("vector_other", 32, 0),  # vmovups ymm4, [rsp]
    b"\x0f\x59\xc1": ("vector_other", 0, 0),  # mulps xmm0, xmm1
    b"\x89\x04\x24": ("scalar", 0, 4),  # mov [rsp], eax
    b"\x83\xc0\x01": ("scalar", 0, 0),  # add eax, 1
}


def arm_program(body: dict[int, tuple[str, int, int]], loops: int) -> bytes:
    """A mark, the body ``loops`` times, a mark, exit."""
    move = 0xD2800000
    mark = [move | MARK << 5 | 8, 0xD4000001]
    count = [move | loops << 5 | 11]  # x11 holds what is left
    back = -(len(body) + 1) & 0x7FFFF
    loop = [*body, 0xF100056B, 0x54000001 | back << 5]  # subs x11, x11, #1; b.ne
    words = [0x910003E1, *count, *mark, *loop, *mark, move, move | 93 << 5 | 8, 0xD4000001]
    return b"".join(struct.pack("<I", word) for word in words)


def x86_program(body: dict[bytes, tuple[str, int, int]], loops: int) -> bytes:
    """The same for x86-64."""
    mark = b"\xb8" + struct.pack("<I", MARK) + b"\x0f\x05"
    loop = b"".join(body) + b"\xff\xcf"  # dec edi
    back = struct.pack("<b", -(len(loop) + 2))
    leave = b"\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05"
    return b"\xbf" + struct.pack("<I", loops) + mark + loop + b"\x75" + back + mark + leave


def write_elf(path: Path, machine: int, code: bytes) -> Path:
    """A static executable of one segment."""
    start, size = 0x400000, 120 + len(code)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, machine, 1, start + 120,
                         64, 0, 0, 64, 56, 1, 0, 0, 0)  # fmt: skip
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, start, start, size, size, 0x1000)
    path.write_bytes(header + segment + code)
    path.chmod(0o755)
    return path
