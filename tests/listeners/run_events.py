"""Events of a short run."""

from __future__ import annotations

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
