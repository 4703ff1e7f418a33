"""Looking for sums that saturate never ends a run that did not ask for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from edgeopt.pipeline import saturation
from edgeopt.schema.errors import DeviceError


def test_a_core_that_does_not_start_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_entries: Any) -> None:
        raise DeviceError("agent ended with exit status 1", where="emulated:haswell")

    bench = SimpleNamespace(able=True, vnni=True, device="emulated:haswell", parities=broken)
    facts = SimpleNamespace(isa="x86_64-avx512_vnni")
    device = SimpleNamespace(facts=lambda _target: facts)
    monkeypatch.setattr(saturation, "_concerned", lambda _plan: ["a candidate"])
    monkeypatch.setattr(saturation, "_int8", lambda *_: [])
    monkeypatch.setattr(saturation, "device_named", lambda _name: device)
    monkeypatch.setattr(saturation, "SaturationBench", lambda *_: bench)
    plan: Any = object()
    events: list[tuple[str, str]] = []
    work: Any = SimpleNamespace(outcomes={}, tell=lambda what, text: events.append((what, text)))
    checked = saturation.check_saturation(work, plan)
    assert checked.plan is plan and not checked.parities
    (note,) = checked.notes
    assert note == (
        "INT8 artifacts were not compared with emulated:haswell: agent ended with exit status 1"
    )
    assert events == [("note", note)]
