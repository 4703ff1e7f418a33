"""Sizes of free dimensions other than the batch, for samples that nobody gave."""

from __future__ import annotations

from collections.abc import Mapping

from edgeopt.schema.artifact import Description, Tensor
from edgeopt.schema.errors import UsageError, did_you_mean

BATCH = "batch"


def free_sizes(tensor: Tensor) -> dict[int, str]:
    """Axis -> the name of its free dimension, INPUT:AXIS where the file gives none."""
    return {
        axis: f"{tensor.name}:{axis}" if dim == f"{tensor.name}.{axis}" else dim
        for axis, dim in enumerate(tensor.shape)
        if axis and isinstance(dim, str)
    }


def sized(d: Description, sizes: Mapping[str, int] | None) -> dict[str, tuple[int, ...]]:
    """The shape of a sample by input, free dimensions as large as ``sizes`` says.

    ``sizes`` is by dimension or by INPUT:AXIS; None where the caller has no way to ask for it.
    Raises UsageError, naming the dimension, for one without a size, and for a name that no free
    dimension has.
    """
    given = dict(sizes or {})
    tensors = d.signature.inputs
    free = {tensor.name: free_sizes(tensor) for tensor in tensors}
    known = {name for names in free.values() for name in names.values()}
    known |= {f"{input}:{axis}" for input, names in free.items() for axis in names}
    for name in given:
        if name not in known:
            raise UsageError(f"no dimension '{name}' is free", where="--shape",
                             hint=_hint(name, sorted(known)))  # fmt: skip
    shapes = {}
    for tensor in tensors:
        own = free[tensor.name]
        found = {axis: given.get(f"{tensor.name}:{axis}", given.get(n)) for axis, n in own.items()}
        for axis, name in own.items():
            if found[axis] is None:
                told = "" if sizes is None else f", or its size: --shape {name}=100"
                raise UsageError(
                    f"input '{tensor.name}' has free dimensions {list(tensor.shape)}: random "
                    f"samples need a size for '{name}'",
                    hint=f"give real samples with --data FILE.npz{told}",
                )
        whole = {axis: size for axis, size in enumerate(tensor.shape) if isinstance(size, int)}
        sizes_of = whole | {axis: size for axis, size in found.items() if size is not None}
        shapes[tensor.name] = tuple(sizes_of[axis] for axis in range(1, len(tensor.shape)))
    return shapes


def _hint(name: str, known: list[str]) -> str:
    if name == BATCH:
        return "the batch is the target's, such as local/onnxruntime?batch=4"
    return did_you_mean(name, known) if known else "only the batch is free, or nothing"
