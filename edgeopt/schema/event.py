"""Events: what the engine tells the listeners. They can never fail a run."""

from __future__ import annotations

from typing import Any, Literal

from edgeopt.schema.base import Noun

What = Literal["phase", "plan", "start", "progress", "end", "note"]


class Event(Noun):
    """One thing that happened; ``job`` is empty for what concerns the whole run.

    ``phase``: ``text`` names it; ``total``, where it is known, counts all its jobs. ``plan``:
    ``total`` jobs more of this phase. ``start`` and
    ``progress`` (``done`` of ``total``, figures in ``data``) and ``end`` (``status``,
    ``cached``, ``seconds`` in ``data``) concern a job. ``note``: a sentence for the user.
    """

    what: What
    job: str = ""
    text: str = ""
    done: float | None = None
    total: float | None = None
    data: dict[str, Any] = {}
