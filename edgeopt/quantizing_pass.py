"""What passes share that quantize float models after training."""

from __future__ import annotations

from typing import ClassVar

from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PassError
from edgeopt.step import APPROXIMATE, Pass, Promise


class QuantizingPass(Pass):
    """Base of passes that take float32 models alone."""

    name: ClassVar[str] = ""
    promise: ClassVar[Promise] = APPROXIMATE

    def requires(self, d: Description) -> None:
        """Float32 models only."""
        if d.quantized:
            raise PassError(f"{self.name} takes float models, this one is quantized already")
        if "float16" in d.facts:
            raise PassError(
                f"{self.name} takes float32 models, this one is float16",
                hint=f"Use one of fp16 and {self.name}, not both.",
            )


class Int4Pass(QuantizingPass):
    """Base of passes that give 4-bit weights beside float activations."""

    name: ClassVar[str] = "quantize-int4"

    def effect(self, d: Description) -> Description:
        """The same border, weights of 4 bits."""
        return d.model_copy(update={"facts": d.facts - {"float32"} | {"int4"}})
