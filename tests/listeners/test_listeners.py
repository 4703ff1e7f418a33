"""Listeners: they say what happens, and can fail nothing."""

from __future__ import annotations

import io

from run_events import EVENTS

from edgeopt.listeners import listening
from edgeopt.listeners.progress import PlainLines
from edgeopt.schema.event import Event


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
