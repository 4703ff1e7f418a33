"""What all passes from a torch module to a torch module share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.step import APPROXIMATE, Pass, PassContext, Promise, body_of


class ModulePass(Pass):
    """Changes a network and keeps its factory: what it does to a live module is ``change``."""

    takes: ClassVar[str] = "torch"
    gives: ClassVar[str] = "torch"
    worker: ClassVar[str] = "torch"
    uses: ClassVar[tuple[str, ...]] = ("torch", "safetensors")
    stage: ClassVar[bool] = True
    promise: ClassVar[Promise] = APPROXIMATE

    def requires(self, d: Description) -> None:
        """Float32 modules."""
        if d.facts - {"static-batch"} != {"float32"}:
            raise PassError(f"{self.name} takes float32 modules, this one is {d.told}")

    def run(self, model: Any, ctx: PassContext) -> Any:
        """Change and write: the parent's code, its edits and the new ones, and weights.

        Raises PassError for a parent that is an exported program, and as ``change`` does.
        """
        from edgeopt.formats.torch import edited  # loads torch

        edited.check_factory(ctx.parent)
        module, records = self.change(model, ctx)
        return edited.write(ctx.parent, module, records, ctx.workdir / "changed")

    def change(self, model: Any, ctx: PassContext) -> tuple[Any, list[dict[str, Any]]]:
        """The part of ``run`` that knows no files, ``change(step, model, ctx)`` of ``body``.

        A private copy in; a live module and the records of edits that were done to it out.
        """
        changed: tuple[Any, list[dict[str, Any]]] = body_of(self).change(self, model, ctx)
        return changed

    def __call__(
        self,
        model: Any,
        data: Any = None,
        *,
        seed: int = 0,
        teacher: Any = None,
        progress: Any = None,
        checkpoints: Path | str | None = None,
        training_step: Callable[..., Any] | None = None,
    ) -> Any:
        """By hand, in a training script: a changed copy of a live torch module.

        ``data`` is what the pass's splits are, or ``{split: data}``: arrays or tensors by
        input, one alone, a pair with labels, or batches of these; of one source, every tenth
        sample validates where the pass trains. ``teacher`` is a module (default: ``model``),
        ``progress(done, total, **figures)`` is told how far it is, ``checkpoints`` is a folder
        to go on from, ``training_step(student, teacher, inputs, labels)`` gives the loss of a
        step of ``distill``. The caller's module and random states stay as they are.
        """
        from edgeopt.by_hand import call  # loads torch

        return call(self, model, data, seed, teacher, progress, checkpoints, training_step)
