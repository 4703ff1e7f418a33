"""Sizes of a model's inputs and outputs, for passes that fix them or need them fixed."""

from __future__ import annotations

from collections.abc import Mapping

from edgeopt.schema.artifact import BATCH, Dim, Signature, Tensor
from edgeopt.schema.errors import PassError


def check_only_batch_free(signature: Signature, name: str) -> None:
    """Raise PassError, for the pass of that name, where another size than the batch is free."""
    for tensor in signature.inputs:
        if any(isinstance(n, str) and n != BATCH for n in tensor.shape):
            raise PassError(
                f"{name} needs fixed sizes; input '{tensor.name}' has {list(tensor.shape)}"
            )


def check_can_fix(signature: Signature, batch: int, name: str) -> None:
    """Raise PassError, for the pass of that name, where a batch cannot be fixed so, or another size
    is free."""
    if signature.batch not in (None, batch):
        raise PassError(
            f"{name}: the model takes {signature.batch} samples at a time",
            hint=f"say 'batch: {signature.batch}'",
        )
    check_only_batch_free(signature, name)


def with_batch(
    signature: Signature, batch: int, narrowed: Mapping[str, str] | None = None
) -> Signature:
    """The same with a fixed batch, and with other dtypes by their names."""

    def fixed(tensor: Tensor) -> Tensor:
        shape: tuple[Dim, ...] = tuple(batch if n == BATCH else n for n in tensor.shape)
        dtype = (narrowed or {}).get(tensor.dtype, tensor.dtype)
        return tensor.model_copy(update={"shape": shape, "dtype": dtype})

    return Signature(
        inputs=tuple(map(fixed, signature.inputs)), outputs=tuple(map(fixed, signature.outputs))
    )
