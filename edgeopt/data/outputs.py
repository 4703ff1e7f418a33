"""What the store keeps of a split: a score's outputs, real values and no codes, and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgeopt.data.quantized import dequantized
from edgeopt.schema.artifact import Tensor
from edgeopt.schema.errors import ModelError
from edgeopt.schema.job import ArrayRef
from edgeopt.store import Store


def kept_outputs(
    value: Mapping[str, Any], tensors: Sequence[Tensor], store: Store, where: str = ""
) -> dict[str, np.ndarray[Any, Any]]:
    """Output arrays, (n, ...) each, by the signature's names and in its order.

    ``value`` is a score's: outputs of the signature's names are taken by name, others by position.
    Raises ModelError where it has another count of outputs.
    """
    order, names = list(value["order"]), [tensor.name for tensor in tensors]
    if len(order) != len(names):
        raise ModelError(f"gave {len(order)} outputs, not {names}", where=where)
    by_name = set(order) == set(names)
    refs = [value["outputs"][name] for name in (names if by_name else order)]
    arrays = (store.get_array(ArrayRef.model_validate(ref)) for ref in refs)
    return {
        tensor.name: dequantized(array, tensor)
        for tensor, array in zip(tensors, arrays, strict=True)
    }


def kept_labels(
    named: str | Mapping[str, str] | None, refs: Mapping[str, ArrayRef], store: Store
) -> Any:
    """Labels as they are named: the array, (n, ...), or arrays by output; None where none are.

    ``refs`` are a split's label arrays. Raises KeyError for an array that it has not, StoreError
    for one that is gone.
    """
    if named is None:
        return None
    if isinstance(named, str):
        return store.get_array(refs[named])
    return {output: store.get_array(refs[array]) for output, array in named.items()}
