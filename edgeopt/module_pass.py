"""What all passes from a torch module to a torch module share."""

from __future__ import annotations

from typing import Any, ClassVar

from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.step import APPROXIMATE, Pass, PassContext, Promise


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
            raise PassError(f"{self.name} takes float32 modules, this one is {sorted(d.facts)}")

    def run(self, model: Any, ctx: PassContext) -> Any:
        """Change and write: the parent's code, its edits and the new ones, and weights.

        Raises PassError for a parent that is an exported program, and as ``change`` does.
        """
        from edgeopt.formats.torch import edited

        edited.check_factory(ctx.parent)
        made, records = self.change(model, ctx)
        return edited.write(ctx.parent, made, records, ctx.workdir / "changed")
