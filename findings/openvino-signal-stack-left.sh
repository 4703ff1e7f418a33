#!/usr/bin/env bash
# OpenVINO 2026.4.1: after two Cores, closed in the order in which they were made, the thread's
# alternate signal stack is memory that was given back.
#
# Two Cores, each with a model of one ReLU compiled for the CPU; both freed, the older one first.
# Expected: sigaltstack(2) of the thread is what it was before, or memory that is still mapped.
# Seen: its address is no longer mapped. The CPU plugin sets a stack of its own when it is loaded
#   (plugin.cpp: SigAltStackSetup), and each Core loads one. When it is unloaded it unmaps its stack,
#   and restores the one before only if its own is still the current one: the second plugin restores
#   the first one's stack, which is gone. Closed in the other order, nothing is left behind.
# Seen with it (not run here): a pytest process that had opened and closed several sessions ended
#   with a segmentation fault when one of its child processes exited, and gave wrong data once:
#   CPython 3.10 and later installs signal handlers that run on the alternate stack.
# Way out: one Core for the whole process, kept until its end.
# Exits with 1 once the behaviour is another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TMPDIR="$folder"
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet openvino==2026.4.1 numpy==2.4.6
"$folder/venv/bin/python" <<'PYTHON'
import ctypes
import gc

import numpy as np
import openvino as ov


class Stack(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


def signal_stack():
    found = Stack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found)) == 0
    start = found.start or 0
    with open("/proc/self/maps") as maps:
        areas = [[int(end, 16) for end in line.split()[0].split("-")] for line in maps]
    return start, start == 0 or any(low <= start < high for low, high in areas)


def opened():
    x = ov.opset13.parameter([1, 4], np.float32)
    core = ov.Core()
    return core, core.compile_model(ov.Model([ov.opset13.relu(x)], [x], "net"), "CPU")


def closed(order):
    """The signal stack after two Cores: its address, and whether that memory is there."""
    kept = [opened(), opened()]
    for index in order:
        kept[index] = None
        gc.collect()
    return signal_stack()


assert signal_stack() == (0, True), "the thread has a signal stack from the start"
print(f"expected: no signal stack, or one in mapped memory: {closed([1, 0])} (newest closed first)")
start, mapped = closed([0, 1])
print(f"seen:     {(start, mapped)} (oldest closed first)")
assert start and not mapped, "the behaviour is another now"
PYTHON
