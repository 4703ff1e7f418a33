"""Recurrent layers of Keras as torch's: gates reordered, two directions joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeopt.rebuilding.keras_parts import (
    Rebuild,
    name_of,
    refused,
)
from edgeopt.rebuilding.plan import Plan, Size, Value


def _recurrent(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    if layer.go_backwards:
        raise refused(name, type(layer).__name__, "it runs backwards")
    return _sequence(plan, name, [layer], taken, shape, layer.return_sequences)


def _in_both(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    one, other = layer.forward_layer, layer.backward_layer
    if layer.merge_mode != "concat" or type(one) is not type(other) or not other.go_backwards:
        raise refused(name, type(layer).__name__, "its two directions are not joined end to end")
    return _sequence(plan, name, [one, other], taken, shape, one.return_sequences)


def _sequence(
    plan: Plan, name: str, cells: Sequence[Any], taken: Sequence[Value], shape: Sequence[Size],
    every: bool,
) -> Value:  # fmt: skip
    kind = type(cells[0]).__name__
    weights: dict[str, Any] = {}
    for cell, end in zip(cells, ("", "_reverse"), strict=False):
        _plain_cell(cell, name, kind)
        kernel, inner, *bias = (np.asarray(w) for w in cell.get_weights())
        weights |= {f"layer.weight_ih_l0{end}": _gates(kernel, kind).T,
                    f"layer.weight_hh_l0{end}": _gates(inner, kind).T}  # fmt: skip
        if bias:
            both = bias[0] if bias[0].ndim == 2 else np.stack([bias[0], np.zeros_like(bias[0])])
            weights |= {f"layer.bias_ih_l0{end}": _gates(both[0][None], kind)[0],
                        f"layer.bias_hh_l0{end}": _gates(both[1][None], kind)[0]}  # fmt: skip
    given = {"kind": {"SimpleRNN": "RNN"}.get(kind, kind), "last": not every,
             "input_size": int(taken[0].shape[-1] or 0), "hidden_size": cells[0].units,
             "bias": bool(cells[0].use_bias), "bidirectional": len(cells) == 2}  # fmt: skip
    return plan.layer(name, "Sequences", plan.last(taken[0]), shape, given, weights)


def _plain_cell(cell: Any, name: str, kind: str) -> None:
    """Raise PassError for what torch's recurrent layers cannot do."""
    names = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    for key, wanted in names.items():
        held = getattr(cell, key, None)
        if held is not None and name_of(held) != wanted:
            raise refused(name, kind, f"{key} '{name_of(held)}'")
    if kind == "GRU" and not cell.reset_after:
        raise refused(name, kind, "reset_after=False")
    if cell.return_state or getattr(cell, "stateful", False):
        raise refused(name, kind, "its state goes in or out")
    if kind not in ("LSTM", "GRU", "SimpleRNN"):
        raise refused(name, kind, "it has no twin in torch")


def _gates(weights: Any, kind: str) -> Any:
    """(n, gates * units) in torch's order: Keras' GRU has update before reset."""
    if kind != "GRU":
        return weights
    update, reset, new = np.split(weights, 3, axis=-1)
    return np.concatenate([reset, update, new], axis=-1)


LAYERS: dict[str, Rebuild] = {
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN"), _recurrent),
    "Bidirectional": _in_both,
}
