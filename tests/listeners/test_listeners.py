"""Listeners: they say what happens, and can fail nothing."""

from __future__ import annotations

import io

from edgeopt.listeners import listening
from edgeopt.listeners.progress import PlainLines
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


def test_one_that_raises_is_dropped_and_the_rest_go_on() -> None:
    stream = io.StringIO()
    with listening(Breaks(), PlainLines(stream), Breaks()) as tell:
        for event in EVENTS:
            tell(event)
    assert "Racing" in stream.getvalue()
