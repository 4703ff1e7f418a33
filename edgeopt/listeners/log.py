"""Every event as a line of JSON, for machines and for later."""

from __future__ import annotations

import json
import time
from pathlib import Path

from edgeopt.schema.errors import StoreError
from edgeopt.schema.event import Event


class JsonLines:
    """Appends to a file, each line complete; ``seconds`` counts from the first event.

    Raises StoreError, naming the file, where it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise StoreError(error.strerror or str(error), where=str(path)) from None
        self._start: float | None = None

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        self._start = now if self._start is None else self._start
        line = {"seconds": round(now - self._start, 3), **event.model_dump(exclude_defaults=True)}
        self._file.write(json.dumps(line, default=str) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
