"""What every peer's script is given, and how it tells what it made.

    PYTHON by_NAME.py SOURCE DATA.npz FOLDER

``DATA.npz`` holds the calibration samples by input, 512 or all there are. Each file that is made is
one JSON line: its path, the setting, and seconds from the source's file to the written one. With
``PEERS_ONLY`` in the environment, that setting alone is made.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

Feeds = list[dict[str, np.ndarray]]


def samples(path: str, batch: int = 1) -> Feeds:
    """The calibration samples, ``batch`` at a time."""
    with np.load(path) as held:
        arrays = {name: held[name] for name in held.files}
    count = min(map(len, arrays.values())) // batch * batch
    return [{n: a[i : i + batch] for n, a in arrays.items()} for i in range(0, count, batch)]


class Reader:
    """Feeds one by one, then None: a CalibrationDataReader."""

    def __init__(self, feeds: Feeds) -> None:
        self.feeds, self.left = feeds, iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.left, None)

    def rewind(self) -> None:
        self.left = iter(self.feeds)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return iter(self.feeds)


Setting = Callable[[Path, Feeds, Path], None]


def made(settings: dict[str, Setting], suffix: str = "onnx") -> None:
    """Run every setting; one that fails is told, and the others go on."""
    source, folder = Path(sys.argv[1]), Path(sys.argv[3])
    only = os.environ.get("PEERS_ONLY", "")
    for name, make in settings.items():
        if only not in ("", name):
            continue
        file = folder / f"{name}.{suffix}"
        began = time.perf_counter()
        try:
            make(source, samples(sys.argv[2]), file)
        except Exception as error:
            traceback.print_exc()
            print(json.dumps({"setting": name, "failed": f"{type(error).__name__}: {error}"[:300]}))
            continue
        took = time.perf_counter() - began
        print(json.dumps({"setting": name, "file": str(file), "seconds": took}), flush=True)
