"""Passes from a torch module to a torch module: in a recipe, or by hand in the user's own loop.

``Distill(epochs=2)(student, data, teacher=source)`` gives a new module; the caller's is left as it
was. The same pass in a recipe writes an artifact: the parent's code, what was done, the weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import DataError, PassError
from edgeopt.step import Pass, PassContext


class Changed(NamedTuple):
    """A module that a pass made, and the records of surgery that make it of its parent's."""

    module: Any
    edits: Sequence[dict[str, Any]] = ()


class ModulePass(Pass):
    """Base of passes from torch to torch: a subclass says ``change``."""

    takes: ClassVar[str] = "torch"
    gives: ClassVar[str] = "torch"
    worker: ClassVar[str] = "torch"

    def change(self, module: Any, ctx: PassContext) -> Changed:
        """Change ``module``, which is a private copy, or make another."""
        raise TypeError(f"{type(self).__name__} does not implement change()")

    def run(self, model: Any, ctx: PassContext) -> Any:
        """Change the parent's module and write it. Raises PassError for an exported program."""
        from edgeopt.formats.torch import edited

        edited.write(ctx.parent, model, (), ctx.workdir / "before")  # refused before the work
        made = self.change(model, ctx)
        return edited.write(ctx.parent, made.module, made.edits, ctx.workdir / "made")

    def __call__(
        self,
        module: Any,
        data: Any = None,
        *,
        teacher: Any = None,
        seed: int = 0,
        progress: Any = None,
        checkpoints: Path | None = None,
    ) -> Any:
        """A changed copy of a live module, in evaluation mode; ``module`` is left as it was.

        ``data`` is ``{"train": ..., "validation": ..., "calibration": ...}``, or one source that
        is cut in two; each is a loader of batches, a tuple of arrays, or a dict of arrays by
        input with the labels under ``label``; all ready to feed. ``teacher`` is a module
        (default: ``module`` itself). ``checkpoints`` is a folder to go on from. Raises DataError,
        and PassError where the pass refuses.
        """
        import copy

        import torch

        from edgeopt.live_module import described, read_splits

        splits = read_splits(data, module, self.splits)
        twin = copy.deepcopy(module).cpu().eval()
        description = described(twin, splits)
        self.requires(description)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            stack.enter_context(torch.random.fork_rng(devices=[]))
            torch.manual_seed(seed)
            ctx = LiveContext(
                seed=seed,
                workdir=folder,
                threads=torch.get_num_threads(),
                description=description,
                splits=splits,
                source=copy.deepcopy(module if teacher is None else teacher).cpu().eval(),
                tell=progress,
                checkpoints=checkpoints or folder,
            )
            return self.change(twin, ctx).module.eval()


@dataclass
class LiveContext:
    """The ``PassContext`` of a pass that is called by hand."""

    seed: int
    workdir: Path
    threads: int
    description: Description
    splits: Mapping[str, Mapping[str, Any]]
    source: Any
    tell: Any
    checkpoints: Path
    parent: Path = field(default=Path())

    def data(self, split: str) -> Mapping[str, Any]:
        """Arrays by input. Raises DataError for a split that was not given."""
        if split not in self.splits:
            raise DataError(f"no '{split}' samples", hint=f"pass {{'{split}': ...}} as data")
        return {name: a for name, a in self.splits[split].items() if name != "label"}

    def labels(self, split: str) -> Any:
        return self.splits.get(split, {}).get("label")

    def teacher(self) -> Any:
        return self.source

    def code(self, named: str) -> tuple[Path, str]:
        """Where ``FILE.py:NAME`` lies, below the folder the caller stands in."""
        file, _, name = named.rpartition(":")
        path = Path(file).absolute()
        if not path.is_file():
            raise PassError("no such file", where=str(path))
        return path.parent, f"{path.name}:{name}"

    def progress(self, done: float, total: float | None = None, **figures: float) -> None:
        if self.tell:
            self.tell(done, total, **figures)
