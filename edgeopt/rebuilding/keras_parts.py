"""What readers of Keras layers share: refusals, activations, padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgeopt.rebuilding.plan import INSTEAD, Plan, Size, Value
from edgeopt.schema.errors import PassError

Rebuild = Callable[[Plan, Any, str, Sequence[Value], Sequence[Size]], Value]
ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {  # Keras' name -> torch's module
    "relu": ("ReLU", {}),
    "relu6": ("ReLU6", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "elu": ("ELU", {}),
    "selu": ("SELU", {}),
    "silu": ("SiLU", {}),
    "swish": ("SiLU", {}),
    "gelu": ("GELU", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "hard_sigmoid": ("Hardsigmoid", {}),
    "hard_silu": ("Hardswish", {}),
    "hard_swish": ("Hardswish", {}),
    "mish": ("Mish", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.2}),
}


def refused(name: str, kind: str, why: str) -> PassError:
    return PassError(
        f"layer '{name}' ({kind}) cannot be rebuilt in torch: {why}",
        hint=INSTEAD,
    )


def activated(plan: Plan, function: Any, name: str, x: Value) -> Value:
    """A layer's own activation, as a module behind it."""
    return activation(plan, name_of(function), f"{name}_activation", x)


def activation(plan: Plan, called: str, name: str, x: Value) -> Value:
    if called == "linear":
        return x
    if called in ("softmax", "log_softmax"):
        kind = "Softmax" if called == "softmax" else "LogSoftmax"
        x = plan.last(x) if x.rows else x
        return plan.keeping(x, plan.layer(name, kind, x, x.shape, {"dim": x.axis(-1)}))
    if called == "exponential":
        return plan.keeping(x, plan.function("exp", [x], x.shape))
    if called not in ACTIVATIONS:
        raise refused(name, called, "this activation has no twin in torch")
    kind, given = ACTIVATIONS[called]
    return plan.keeping(x, plan.layer(name, kind, x, x.shape, given))


def padded(
    plan: Plan, name: str, x: Value, sides: Sequence[tuple[int, int]], value: float,
    shape: Sequence[Size] | None = None,
) -> Value:  # fmt: skip
    """(before, after) of each axis between batch and channels; negative ones cut off."""
    flat = [n for pair in reversed(sides) for n in pair]
    grown = [
        n if n is None else n + sum(pair) for n, pair in zip(x.shape[1:-1], sides, strict=True)
    ]
    made = plan.layer(
        name, f"ConstantPad{len(sides)}d", x, shape or (x.shape[0], *grown, x.shape[-1]),
        {"padding": flat, "value": value},
    )  # fmt: skip
    return plan.keeping(x, made)


def check_channels_last(layer: Any, name: str) -> None:
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise refused(name, type(layer).__name__, "its channels come first")


def name_of(function: Any) -> str:
    return "linear" if function is None else str(getattr(function, "__name__", function))
