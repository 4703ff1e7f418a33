"""What the tests of pruning share: an opened artifact, and a pass run on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from passes_bench import Context

from edgeopt.formats import format_named
from edgeopt.step import Pass

MODELS = Path(__file__).parents[2] / "models"
TORCH = format_named("torch")


@dataclass
class Opened:
    """An artifact's folder with samples for it."""

    folder: Path
    arrays: dict[str, np.ndarray]
    labels: np.ndarray
    root: Path
    count: int = 0

    def run(self, step: Pass, seed: int = 0) -> Opened:
        """What a worker does with a pass."""
        self.count += 1
        rough = self.root / f"rough-{self.folder.name}-{self.count}"
        out = self.root / f"{self.folder.name}-{self.count}"
        rough.mkdir()
        before = TORCH.describe(self.folder)
        step.requires(before)
        context = Context(
            rough, before, self.arrays, seed, parent=self.folder, classes=self.labels
        )  # fmt: skip
        TORCH.save(step.run(TORCH.load(self.folder), context), out)
        after = TORCH.describe(out)
        assert after.differs(step.effect(before)) == []
        return Opened(out, self.arrays, self.labels, self.root)

    def outputs(self) -> np.ndarray:
        return next(iter(TORCH.runner(self.folder)(self.arrays).values()))

    def files(self) -> dict[str, bytes]:
        return {
            p.relative_to(self.folder).as_posix(): p.read_bytes()
            for p in self.folder.rglob("*")
            if p.is_file()
        }

    def load(self) -> Any:
        return TORCH.load(self.folder)

    def inspect(self) -> Any:
        return TORCH.inspect(self.folder)
