"""The checks of a live device: what it does wrong is told by name, and what cannot be asked is."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeopt.schema.target import parse_target
from edgeopt.store import Store
from edgeopt.testing.devices import CHECKS, Place, check_device, lends_itself_once, scores_as_here

LAB = Path(__file__).parents[1] / "devices" / "lab_board.py"
FOUND = "found = session.run(None, {name: array[index] for name, array in feeds.items()})"
TARGET = parse_target("exec:lab/onnxruntime")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def configure(folder: Path, monkeypatch: pytest.MonkeyPatch, *command: str) -> None:
    (folder / "devices.yaml").write_text(json.dumps({"exec": {"lab": {"command": command}}}))
    monkeypatch.setenv("EDGEOPT_DEVICES", str(folder / "devices.yaml"))


def test_a_device_that_answers_wrongly_is_found(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = LAB.read_text()
    assert FOUND in text
    script = tmp_path / "board.py"
    script.write_text(text.replace(FOUND, f"{FOUND}\n        found = [a + 1 for a in found]"))
    configure(tmp_path, monkeypatch, sys.executable, str(script))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        scores_as_here(Place(TARGET, store, tmp_path))


def test_a_device_that_lends_itself_twice_is_found(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import nullcontext

    from edgeopt.devices import exec as lab

    configure(tmp_path, monkeypatch, sys.executable, str(LAB))
    monkeypatch.setattr(lab, "device_lock", lambda *_: nullcontext())
    with pytest.raises(AssertionError, match="two held it at once"):
        lends_itself_once(Place(TARGET, store, tmp_path))


def test_nothing_more_is_asked_of_a_device_that_does_not_answer(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path, monkeypatch, "false")
    (found,) = check_device(TARGET, store)
    assert found["ok"] is False and found["check"] == "says hello" and found["told"]


@pytest.mark.extras
def test_what_needs_onnx_is_not_checked_without_it(store: Store) -> None:
    found = {
        each["check"]: each["ok"] for each in check_device(parse_target("local/litert"), store)
    }
    assert list(found) == list(CHECKS)
    assert {name for name, ok in found.items() if ok is None} == {
        "scores as here", "ends when cancelled", "leaves nothing",
    }  # fmt: skip
    assert found["says hello"] and found["lends itself once"]
