"""Listeners receive events. They can never fail a run, and nothing waits for them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Protocol

from edgeopt.schema.event import Event


class Listener(Protocol):
    """Called with each event, by one thread at a time; ``close`` comes once, at the end."""

    def __call__(self, event: Event) -> None: ...
    def close(self) -> None: ...


class Listeners:
    """Hands each event to all; one that raises is dropped, and the rest go on."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            for listener in list(self._listeners):
                try:
                    listener(event)
                except Exception:
                    self._listeners.remove(listener)

    def close(self) -> None:
        """Close all that are left, whatever some of them raise. Idempotent."""
        with self._lock:
            while self._listeners:
                with contextlib.suppress(Exception):
                    self._listeners.pop().close()


@contextlib.contextmanager
def listening(*listeners: Listener) -> Iterator[Listeners]:
    """Listeners that are closed at the end, however it comes."""
    made = Listeners(*listeners)
    try:
        yield made
    finally:
        made.close()
