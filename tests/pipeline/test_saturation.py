"""Looking for sums that saturate never ends a run that did not ask for it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from edgeopt.devices.emulated import folder
from edgeopt.pipeline.saturation import HOST, alike, check_saturation
from edgeopt.pipeline.work import Work
from edgeopt.schema.parity import Parity
from edgeopt.schema.plan import Plan
from edgeopt.transport.kinds import device_named

BROKEN = """\
#!/bin/sh
[ "$1" = --version ] && echo 'qemu-x86_64 version 7.2.0' && exit
echo 'the emulator is broken' >&2
exit 1
"""


@pytest.fixture
def broken_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulation that is set up, with a QEMU that ends at once."""
    home, programs = tmp_path / "emulation", tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    (home / folder.MANIFEST).write_text(json.dumps({"version": folder.VERSION, "versions": {
        "python": "3.11"}}))  # fmt: skip
    for name in ("qemu-x86_64", "qemu-aarch64"):
        (programs / name).write_text(BROKEN)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("EDGEOPT_EMULATION", str(home))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("broken_core")
def test_a_core_that_does_not_start_is_a_note(work: Work, plan: Plan) -> None:
    """With VNNI the old core is emulated; without it this CPU saturates, and nothing is."""
    events: list[tuple[str, str]] = []
    work = replace(work, on_event=lambda event: events.append((event.what, event.text)))
    checked = check_saturation(work, plan)
    if "vnni" not in device_named("local").facts(HOST).isa:
        assert checked.parities
        assert not [text for what, text in events if what == "note" and "not compared" in text]
        return
    assert checked.plan is plan and not checked.parities
    (note,) = checked.notes
    assert note.startswith("INT8 artifacts were not compared with emulated:haswell: agent ended")
    assert ("note", note) in events


def test_what_a_comparison_showed_is_told_where_it_showed_no_difference() -> None:
    """Guards against a comparison that is announced and of which nothing is heard again."""

    def found(worst: float, flips: int = 0) -> Parity:
        return Parity(device="local", yardstick="the host", n=256, tensor="y", worst=worst,
                      sample=3, peak=8.0, flips=flips)  # fmt: skip

    assert alike([found(0.02), found(0.04)]) == (
        "All answer alike there: at most 0.04 off, 0.005 of the largest value (1% is allowed), no "
        "arg max flips but in near ties, on 256 samples"
    )
    assert alike([found(0.0), found(4.0, 9)]) == (
        "1 of 2 answer alike there: equal to the bit, on 256 samples"
    )
    assert alike([found(4.0, 9)]) == "" == alike([])
