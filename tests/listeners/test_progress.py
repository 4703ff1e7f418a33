"""Progress in lines and on a terminal."""

from __future__ import annotations

import io
import sys

import pytest
from run_events import EVENTS, LOST, OK

from edgeopt.listeners import listening
from edgeopt.listeners.progress import Live, PlainLines, ending, how_far, progress, progress_message
from edgeopt.schema.event import Event


def test_lines_tell_what_took_time_what_failed_and_what_is_left() -> None:
    stream = io.StringIO()
    with listening(PlainLines(stream)) as tell:
        for event in EVENTS:
            tell(event)
    lines = [line.partition("] ")[2] for line in stream.getvalue().splitlines()]
    assert lines == [
        "Building",
        "  1/3 a (1.5 s)",
        "  2/3 (1 from the store: kept from earlier runs)",
        "  3/3 c crashed: killed by",
        "note: mind \\x1b[31mthis",
        "Racing",
        "  1/5 d (1.5 s)",
    ]


def test_a_terminal_is_given_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with listening(Live()) as tell:
        for event in EVENTS:
            tell(event)
    shown = capsys.readouterr().err
    assert "Building (3/3, 1 from the store, 1 failed)" in shown
    assert "c crashed: killed by" in shown
    assert "\x1b[31mthis" not in shown
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l"), "the cursor is back"


def test_a_long_job_says_how_far_it_is_and_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, monotonic = io.StringIO(), [100.0]
    monkeypatch.setattr("edgeopt.listeners.progress.time.monotonic", lambda: monotonic[0])
    lines = PlainLines(stream)
    figures = {"epoch": 1.0, "epochs": 3.0, "loss": 0.5, "accuracy": 0.875, "left_s": 601.0}
    lines(Event(what="start", job="distill", data={"kind": "pass"}))
    for seconds in (1.0, 31.0, 32.0, 62.0):
        monotonic[0] = 100.0 + seconds
        lines(Event(what="progress", job="distill", done=seconds, total=400, data=figures))
    lines = [line.partition("] ")[2] for line in stream.getvalue().splitlines()]
    assert lines == [
        "  distill: 31 of 400 steps, epoch 1 of 3, training loss 0.5, training accuracy 87.5%, "
        "10 min left",
        "  distill: 62 of 400 steps, epoch 1 of 3, training loss 0.5, training accuracy 87.5%, "
        "10 min left",
    ]


@pytest.mark.parametrize(
    ("kind", "figures", "text"),
    [
        ("score", {}, "9,000 of 10,000 samples"),
        ("race", {"ratio": 0.5}, "9,000 of up to 10,000 processes"),
        ("pass", {"samples": 10000.0}, "9,000 of 10,000 samples"),
        ("pass", {"taught": 10000.0}, "9,000 of 10,000 samples answered by the teacher"),
        ("pass", {"epoch": 1.0, "epochs": 2.0}, "9,000 of 10,000 steps"),
        ("pass", {"macs": 0.25}, "90%"),
    ],
)
def test_what_is_counted_is_said(kind: str, figures: dict[str, float], text: str) -> None:
    """Guards against 9000/10000 of nobody knows what."""
    event = Event(what="progress", job="a", done=9000, total=10000, data=figures)
    assert how_far(event, kind) == text


def test_jobs_that_the_store_answered_are_counted_before_the_next_line_and_at_the_end() -> None:
    """Guards against a count that starts at 10/13 and does not say where the others are."""
    stream = io.StringIO()
    kept, ran = {**OK, "cached": True}, OK
    with listening(PlainLines(stream)) as tell:
        tell(Event(what="phase", text="Building"))
        tell(Event(what="plan", total=4))
        for job, data in (("a", kept), ("b", kept), ("c", ran), ("d", kept)):
            tell(Event(what="end", job=job, data=data))
    lines = [line.partition("] ")[2] for line in stream.getvalue().splitlines()]
    told = [
        "  2/4 (2 from the store: kept from earlier runs)",
        "  3/4 c (1.5 s)",
        "  4/4 (1 from the store: kept from earlier runs)",
    ]
    assert lines == ["Building", *told]


@pytest.mark.parametrize(
    ("figures", "text"),
    [
        ({}, ""),
        ({"loss": 0.123456}, "loss 0.1235"),
        ({"left_s": 99.4, "loss": 2.0}, "loss 2, 99 s left"),
        ({"left_s": 100}, "2 min left"),
        ({"accuracy": 0.875}, "accuracy 87.5%"),
        ({"epoch": 2.0, "epochs": 3.0, "loss": 0.5}, "epoch 2 of 3, training loss 0.5"),
        ({"validation_accuracy": 0.5}, "validation accuracy 50.0%"),
        ({"samples": 512.0}, ""),
    ],
)
def test_figures_of_progress_are_short(figures: dict[str, float], text: str) -> None:
    assert progress_message(figures) == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (OK, "a (1.5 s)"),
        ({**OK, "cached": True}, "a (from the store)"),
        (LOST, "a crashed: killed by"),
        ({"status": "failed"}, "a failed: "),
    ],
)
def test_an_end_is_one_line(data: dict[str, object], text: str) -> None:
    assert ending(Event(what="end", job="a", data=data)) == text


@pytest.mark.parametrize(("terminal", "kind"), [(True, Live), (False, PlainLines)])
def test_a_terminal_gets_what_moves_and_a_file_lines(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, kind: type
) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    monkeypatch.setattr(sys, "stderr", Stream())
    found = progress()
    assert type(found) is kind
    found.close()
