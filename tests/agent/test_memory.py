"""Resident memory of a process: what is taken shows, and a peak can be started anew."""

from __future__ import annotations

import subprocess
import sys

import psutil

from edgeopt.agent import memory

SIZE = 64 << 20
SCRIPT = f"""\
from edgeopt.agent import memory
data = bytearray(b"x" * {SIZE})
held = memory.reading()
del data
before = memory.reading()
anew = memory.reset()
after = memory.reading()
print(held["rss_bytes"], before["peak_bytes"], after["peak_bytes"], after["rss_bytes"], int(anew))
"""


def test_a_reading_is_what_the_system_counts() -> None:
    found = memory.reading()
    mine = psutil.Process().memory_info().rss
    assert abs(found["rss_bytes"] - mine) < 16 << 20
    assert found["peak_bytes"] >= found["rss_bytes"] - (1 << 20)


def test_a_reset_forgets_an_earlier_peak_where_the_kernel_allows_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    held, before, after, rss, anew = map(int, done.stdout.split())
    assert held > SIZE and before >= held, "what was freed was a peak"
    assert rss < held - SIZE // 2
    if anew:
        assert after < before - SIZE // 2
    else:
        assert after >= before, "it says that the peak is the old one"
