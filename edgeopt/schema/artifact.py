"""Artifacts and what can be said of them: Signature, Description, Inspection."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, field_serializer

from edgeopt.schema.base import Noun, digest_of
from edgeopt.schema.conversion import Conversion

BATCH = "batch"
Dim = int | str  # a symbolic dimension is its name, "batch" for the first one


class Tensor(Noun):
    """One input or output of a model.

    ``dtype`` is numpy's name; ``shape`` starts with the batch, or has it where a free dimension is
    called ``batch``; ``layout`` is ``NCHW``,
    ``NHWC`` or empty where the tensor is no image; ``scale`` and ``zero_point`` are set
    where the tensor is quantized at the model's border: real = scale * (code - zero_point).
    """

    name: str
    dtype: str
    shape: tuple[Dim, ...]
    layout: str = ""
    scale: float | None = None
    zero_point: int | None = None

    @property
    def batch_axis(self) -> int:
        """The axis that counts samples: the first, unless another one is called ``batch``."""
        return self.shape.index(BATCH) if BATCH in self.shape else 0

    def sized(self, batch: int) -> tuple[int, ...]:
        """The shape for so many samples. Raises ValueError where another size is free."""
        if others := {n for n in self.shape if isinstance(n, str)} - {BATCH}:
            raise ValueError(f"'{self.name}' has free sizes: {', '.join(sorted(others))}")
        return tuple(batch if isinstance(n, str) else n for n in self.shape)

    @property
    def batch_first(self) -> Tensor:
        """The tensor as its samples are kept: the batch before all other axes."""
        axis = self.batch_axis
        shape = (self.shape[axis], *self.shape[:axis], *self.shape[axis + 1 :]) if axis else ()
        return self.model_copy(update={"shape": shape}) if axis else self


class Signature(Noun):
    """Inputs and outputs, in the model's own order."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def dynamic_batch(self) -> bool:
        """Whether every input takes any number of samples, but for single numbers."""
        first = [t.shape[t.batch_axis] for t in self.inputs if t.shape]
        return bool(first) and all(isinstance(n, str) for n in first)

    @property
    def whole(self) -> dict[str, tuple[Dim, ...]]:
        """Shapes of the outputs that have no axis of samples: one answer for a whole batch."""
        batch = self.batch
        return {
            t.name: t.shape for t in self.outputs if not t.shape or _counts_no_samples(t, batch)
        }

    @property
    def batch(self) -> int | None:
        """The fixed batch size, or None where it is free."""
        return self.batch_of({})

    def batch_of(self, axes: Mapping[str, int | None]) -> int | None:
        """The fixed batch size where inputs take samples on these axes, not on the first.

        None for one that takes no samples, a constant: its shape says nothing of the batch.
        """
        placed = [(t.shape, axes.get(t.name, t.batch_axis)) for t in self.inputs]
        sizes = [shape[axis] for shape, axis in placed if axis is not None and axis < len(shape)]
        return next((size for size in sizes if isinstance(size, int)), None)


def _counts_no_samples(output: Tensor, batch: int | None) -> bool:
    size = output.shape[output.batch_axis]
    return isinstance(size, int) and size != batch


DYNAMIC = "dynamic-quantized"
FOUND = frozenset({"int8-activations"})  # facts that calibration may find otherwise


class Description(Noun):
    """What can be said of a model before it exists.

    Facts in use: ``float32``, ``float16`` (weights), ``qdq``, ``int8``, ``int4`` (quantized
    weights), ``dynamic-quantized`` (activations as it runs, by the range of a whole batch),
    ``int8-activations``, ``int8-io`` (quantized inputs or outputs), ``static-batch``,
    ``fake-quantized`` with ``qat-SCHEME`` (a module trained with quantization);
    ``simplified`` is none: a fact must be readable from the file alone. ``kind`` says which layers
    hold most of the weights, lookup tables aside: ``convolutional``, ``recurrent``, ``linear``, or
    nothing where it is not known. It is a hint to passes, and no part of what a pass predicts.
    """

    format: str
    signature: Signature
    facts: frozenset[str] = frozenset()
    kind: str = ""

    @property
    def quantized(self) -> bool:
        """Whether weights or activations are."""
        return bool(self.facts & {"qdq", "int8", "int4"})

    @property
    def told(self) -> str:
        """The facts in words."""
        return ", ".join(sorted(self.facts)) or "of an unknown kind"

    @property
    def codes(self) -> frozenset[str]:
        """Names of inputs that take codes in place of real values."""
        if "int8-io" not in self.facts:
            return frozenset()
        return frozenset(t.name for t in self.signature.inputs if t.dtype in ("int8", "uint8"))

    @field_serializer("facts", when_used="json")
    def _in_order(self, facts: frozenset[str]) -> list[str]:
        return sorted(facts)

    def differs(self, other: Description) -> list[str]:
        """What differs, in words; empty where both say the same.

        Scales and zero points do not count, nor whether activations are signed: calibration finds
        them.
        """
        differences: list[str] = []
        if self.format != other.format:
            differences.append(f"format {self.format} against {other.format}")
        if (self.facts ^ other.facts) - FOUND:
            differences.append(f"facts {sorted(self.facts)} against {sorted(other.facts)}")
        for role in ("inputs", "outputs"):
            mine, theirs = getattr(self.signature, role), getattr(other.signature, role)
            if tuple(map(_uncoded, mine)) != tuple(map(_uncoded, theirs)):
                differences.append(f"{role} {_short(mine)} against {_short(theirs)}")
        return differences


class Artifact(Noun):
    """Immutable model files, named by the digest of format, paths and contents."""

    format: str
    files: dict[str, str] = Field(min_length=1)  # path inside the artifact -> SHA-256
    size_bytes: int

    @cached_property
    def digest(self) -> str:
        """SHA-256 over format and files; provenance is no part of it."""
        return digest_of({"format": self.format, "files": self.files})

    def whole(self, folder: Path) -> Path:
        """What stands for all of it in a folder: its one file, or the folder of several."""
        names = sorted(self.files)
        return folder / names[0] if len(names) == 1 else folder


class Inspection(Noun):
    """What ``edgeopt inspect`` prints of a model file."""

    format: str
    description: Description
    parameters: int
    macs: int | None  # multiply-accumulates of one sample; None where shapes do not tell
    operators: dict[str, int]
    size_bytes: int
    opset: dict[str, int] = {}  # domain -> version (ONNX)
    ir_version: int | None = None
    quantization: dict[str, Any] = {}
    conversions: tuple[Conversion, ...] = ()  # by each runtime that was asked
    notes: tuple[str, ...] = ()


def _uncoded(tensor: Tensor) -> Tensor:
    return tensor.model_copy(update={"scale": None, "zero_point": None})


def _short(tensors: tuple[Tensor, ...]) -> str:
    return ", ".join(f"{t.name}:{t.dtype}{list(t.shape)}{t.layout}" for t in tensors)
