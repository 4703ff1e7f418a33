"""Events as lines of JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeopt.listeners import listening
from edgeopt.listeners.log import JsonLines
from edgeopt.schema.errors import StoreError
from edgeopt.schema.event import Event

EVENTS = (
    Event(what="phase", text="Building", total=5),
    Event(what="start", job="a", data={"kind": "pass"}),
    Event(what="end", job="a", data={"status": "ok", "path": Path("a/b")}),
)


def test_every_event_is_a_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with listening(JsonLines(path)) as tell:
        for event in EVENTS:
            tell(event)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.pop("what") for line in lines] == [event.what for event in EVENTS]
    assert all(line["seconds"] >= 0 for line in lines)
    with pytest.raises(StoreError, match="absent"):
        JsonLines(tmp_path / "absent" / "events.jsonl")


def test_lines_are_complete_as_soon_as_they_are_told_and_say_no_more_than_was_told(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.jsonl"
    log = JsonLines(path)
    for count, event in enumerate(EVENTS, 1):
        log(event)
        assert len(path.read_text().splitlines()) == count
    log.close()
    first, _, last = (json.loads(line) for line in path.read_text().splitlines())
    assert first == {"seconds": 0.0, "what": "phase", "text": "Building", "total": 5.0}
    assert last["data"]["path"] == "a/b", "what JSON does not know is text"


def test_an_older_log_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for _ in range(2):
        log = JsonLines(path)
        log(EVENTS[0])
        log.close()
    assert len(path.read_text().splitlines()) == 2
