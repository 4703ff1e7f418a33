"""What passes share that rebuild a model of another format as a torch module."""

from __future__ import annotations

from typing import ClassVar

from edgeopt.models.sizes import check_only_batch_free
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.step import Pass, Promise, close


class RebuiltPass(Pass):
    """Base of ``to-torch``, which is inserted where a pass that trains follows."""

    name: ClassVar[str] = "to-torch"
    gives: ClassVar[str] = "torch"
    promise: ClassVar[Promise] = close(rtol=1e-4, atol=1e-5)

    def requires(self, d: Description) -> None:
        """Float32 models with a free batch, whose other sizes are fixed."""
        if d.facts != {"float32"}:
            raise PassError(
                f"{self.name} takes float32 models of a free batch, this one is {d.told}"
            )
        check_only_batch_free(d.signature, self.name)
