"""How an artifact is fed and read by whoever ships it: inputs from raw values, outputs in words."""

from __future__ import annotations

from typing import Literal

from edgeopt.schema.artifact import Tensor
from edgeopt.schema.base import Noun

SCORES = {  # whether they are probabilities -> in words
    True: "a probability for each class",
    False: "a score for each class (not a probability: they do not sum to 1)",
    None: "a score for each class",
}
RANGES = {"int8": (-128, 127), "uint8": (0, 255)}  # of codes


class Scaling(Noun):
    """``x -> (x - subtract) / divide`` in float32; one number, or one a channel."""

    subtract: tuple[float, ...] = ()
    divide: tuple[float, ...]

    @property
    def formula(self) -> str:
        """``(x - 0.286) / 0.353``; where there are several numbers, by channel."""
        top = f"(x - {_numbers(self.subtract)})" if self.subtract else "x"
        several = max(len(self.subtract), len(self.divide)) > 1
        return f"{top} / {_numbers(self.divide)}" + (" by channel" if several else "")


class Input(Noun):
    """One input of an artifact, and how the data's raw values become what it takes.

    In this order: ``steps`` on the values as float32, axes from ``raw_layout`` to the tensor's
    layout, and where it is ``quantized``, codes by the tensor's scale and zero point.
    """

    tensor: Tensor
    array: str  # of the data
    raw_dtype: str
    raw_shape: tuple[int, ...]  # of one sample
    raw_layout: str = ""  # empty where the axes mean nothing in particular
    decoded: str = ""  # how files became raw values, in words
    steps: tuple[Scaling, ...] = ()
    quantized: bool = False
    constant: bool | int | float | None = None  # fed with every sample, in place of an array

    @property
    def raw(self) -> str:
        """``'images', uint8 (28, 28) HW``, or ``16000, the same for all samples``."""
        if self.constant is not None:
            return f"{self.constant}, the same for all samples"
        layout = self.raw_layout.replace("N", "")
        parts = [f"'{self.array}', {self.raw_dtype} {_shape(self.raw_shape)}", layout]
        return " ".join(filter(None, parts)) + (f", {self.decoded}" if self.decoded else "")

    @property
    def spelled(self) -> str:
        """``float32 (1, 28, 28, 1) NHWC, batch fixed at 1``; of a constant without the batch."""
        return batched(self.tensor) if self.constant is None else spelled(self.tensor)

    @property
    def made(self) -> str:
        """``x / 255, then (x - 0.286) / 0.353, in float32``: from raw values to the tensor's."""
        steps = [step.formula for step in self.steps]
        text = ", then ".join(steps) + (", in float32" if steps else "")
        if self.quantized and self.tensor.scale is not None:
            zero, ends = self.tensor.zero_point or 0, RANGES.get(self.tensor.dtype)
            code = f"round(x / {self.tensor.scale:.9g}) {'-' if zero < 0 else '+'} {abs(zero)}"
            held = f", held within {ends[0]} to {ends[1]}" if ends else ""
            return (f"{text}, then " if text else "") + code + held
        if text or self.raw_dtype == self.tensor.dtype:
            return text or "as it is"
        return f"as {self.tensor.dtype}"


class Output(Noun):
    """One output of an artifact, and what its values are."""

    tensor: Tensor
    of: str  # the source's output of which it is the answer
    label: str = ""  # array of the data that it is held against
    kind: Literal["", "classes", "values", "places", "several"] = ""  # how the two fit
    classes: tuple[str, ...] = ()  # the name of each, from 0
    probabilities: bool | None = None  # whether scores of classes are; None: not known

    @property
    def read(self) -> str:
        """What the values are, in words; empty where nothing is known of them."""
        parts, scale = [], self.tensor.scale
        if scale is not None:
            zero = self.tensor.zero_point or 0
            sign, far = ("+", -zero) if zero < 0 else ("-", zero)
            parts.append(f"real values are {scale:.9g} * (code {sign} {far})")
        if self.kind == "classes" or self.classes:
            parts.append(f"{SCORES[self.probabilities]}, the highest is the answer")
        elif self.kind == "values":
            parts.append(f"the values of '{self.label}'")
        elif self.label:
            parts.append(f"held against '{self.label}'")
        if self.classes:
            parts.append(", ".join(f"{i} {name}" for i, name in enumerate(self.classes)))
        return ": ".join(["; ".join(parts[:-1]), parts[-1]]) if self.classes else "; ".join(parts)


def spelled(tensor: Tensor) -> str:
    """``float32 (1, 28, 28, 1) NHWC``."""
    return f"{tensor.dtype} {_shape(tensor.shape)}" + (f" {tensor.layout}" if tensor.layout else "")


def batched(tensor: Tensor) -> str:
    """``float32 (1, 28, 28, 1) NHWC, batch fixed at 1``: of the first axis, which is the batch."""
    first = tensor.shape[0] if tensor.shape else None
    batch = "any batch" if isinstance(first, str) else f"batch fixed at {first}"
    return spelled(tensor) + ("" if first is None else f", {batch}")


def _shape(shape: tuple[int | str, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def _numbers(values: tuple[float, ...]) -> str:
    texts = [f"{value:.9g}" for value in values]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
