"""Listeners: they say what happens, and can fail nothing."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from edgeopt.listeners import listening
from edgeopt.listeners.log import JsonLines
from edgeopt.listeners.progress import Live, PlainLines
from edgeopt.schema.errors import StoreError
from edgeopt.schema.event import Event

OK = {"status": "ok", "seconds": 1.5, "cached": False}
LOST = {"status": "crashed", "seconds": 2.0, "error": {"what": "killed by\nsignal 9"}}
EVENTS = (
    Event(what="phase", text="Building"),
    Event(what="plan", total=3),
    Event(what="start", job="a", data={"kind": "pass"}),
    Event(what="progress", job="a", done=1, total=2, data={"loss": 0.25}),
    Event(what="end", job="a", data=OK),
    Event(what="end", job="b", data={**OK, "cached": True}),
    Event(what="start", job="c", data={"kind": "race"}),
    Event(what="end", job="c", data=LOST),
    Event(what="note", text="mind \x1b[31mthis"),
    Event(what="phase", text="Racing", total=5),
    Event(what="plan", total=1),
    Event(what="end", job="d", data=OK),
)


class Breaks:
    def __call__(self, event: Event) -> None:
        raise ValueError("a listener")

    def close(self) -> None:
        raise ValueError("again")


def test_lines_tell_what_took_time_what_failed_and_what_is_left() -> None:
    stream = io.StringIO()
    with listening(PlainLines(stream)) as tell:
        for event in EVENTS:
            tell(event)
    lines = [line.partition("] ")[2] for line in stream.getvalue().splitlines()]
    assert lines == [
        "Building",
        "  1/3 a (1.5 s)",
        "  3/3 c crashed: killed by",
        "note: mind \\x1b[31mthis",
        "Racing",
        "  1/5 d (1.5 s)",
    ]


def test_one_that_raises_is_dropped_and_the_rest_go_on() -> None:
    stream = io.StringIO()
    with listening(Breaks(), PlainLines(stream), Breaks()) as tell:
        for event in EVENTS:
            tell(event)
    assert "Racing" in stream.getvalue()


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


def test_a_terminal_is_given_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with listening(Live()) as tell:
        for event in EVENTS:
            tell(event)
    shown = capsys.readouterr().err
    assert "Building (3/3, 1 from cache, 1 failed)" in shown
    assert "c crashed: killed by" in shown
    assert "\x1b[31mthis" not in shown
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l"), "the cursor is back"


def test_a_long_job_says_how_far_it_is_and_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, monotonic = io.StringIO(), [100.0]
    monkeypatch.setattr("edgeopt.listeners.progress.time.monotonic", lambda: monotonic[0])
    lines = PlainLines(stream)
    figures = {"loss": 0.5, "accuracy": 0.875, "left_s": 601.0}
    lines(Event(what="start", job="distill", data={"kind": "pass"}))
    for seconds in (1.0, 31.0, 32.0, 62.0):
        monotonic[0] = 100.0 + seconds
        lines(Event(what="progress", job="distill", done=seconds, total=400, data=figures))
    told = [line.partition("] ")[2] for line in stream.getvalue().splitlines()]
    assert told == [
        "  distill 31/400, loss 0.5, accuracy 0.875, 10 min left",
        "  distill 62/400, loss 0.5, accuracy 0.875, 10 min left",
    ]
