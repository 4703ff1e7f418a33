"""A Keras model's layers as torch modules, with their weights in torch's order.

Kernels are transposed, gates of recurrent layers reordered, ``same`` padding written out where it
is not the same on both sides. Momentum of batch normalization is what is kept in Keras and what is
taken of the new in torch. A layer that has no twin is refused by its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgeopt.agent.tf_network import keras
from edgeopt.rebuilding import (
    keras_convolutions,
    keras_recurrent,
    keras_sizes,
    keras_weights,
)
from edgeopt.rebuilding.keras_parts import Rebuild, activation, name_of, refused
from edgeopt.rebuilding.plan import Plan, Size, Value
from edgeopt.schema.errors import PassError

MERGES = {"Add": "add", "Multiply": "mul", "Average": "average", "Maximum": "maximum",
          "Minimum": "minimum", "Subtract": "sub"}  # fmt: skip
DROPS = {"Dropout": "Dropout", "SpatialDropout1D": "Dropout1d", "SpatialDropout2D": "Dropout2d"}
ONLY_IN_TRAINING = ("GaussianNoise", "GaussianDropout", "ActivityRegularization")


def rebuilt(network: Any, taken: Mapping[str, bool]) -> Plan:
    """The plan of a network's Keras model. ``taken``: by input, whether channels come on axis 1.

    Raises PassError that names the layer which has no twin.
    """
    model, plan = network.model, Plan()
    values = [
        plan.input(
            one["name"],
            [n if isinstance(n, int) else None for n in one["shape"]],
            taken[one["name"]],
        )
        for one in network.inputs
    ]
    ends = _graph(plan, model, values, "")
    for one, value in zip(network.outputs, ends, strict=True):
        plan.output(one["name"], value)
    return plan


def _graph(plan: Plan, model: Any, values: Sequence[Value], prefix: str) -> list[Value]:
    """The values of a functional or sequential model's outputs."""
    functional = getattr(model, "_functional", None) or model
    by_depth = getattr(functional, "_nodes_by_depth", None)
    if by_depth is None:
        raise PassError(
            f"'{model.name}' is a subclass of keras.Model, whose layers cannot be told",
            hint="Write it in the functional form, or give it as a torch factory.",
        )
    known = {id(t): v for t, v in zip(functional._inputs, values, strict=True)}
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if node.operation is None or node.is_input:
                continue
            made = _called(plan, node, known, prefix)
            known |= {id(t): v for t, v in zip(node.outputs, made, strict=True)}
    return [known[id(tensor)] for tensor in functional._outputs]


def _called(plan: Plan, node: Any, known: Mapping[int, Value], prefix: str) -> list[Value]:
    operation, given = node.operation, node.arguments
    taken = [known[id(tensor)] for tensor in given.keras_tensors]
    shape = [tuple(tensor.shape) for tensor in node.outputs]
    name, kind = f"{prefix}{operation.name}", type(operation).__name__
    if any(value is not None for key, value in given.kwargs.items() if key == "mask"):
        raise refused(name, kind, "it takes a mask")
    if hasattr(operation, "_nodes_by_depth") or hasattr(operation, "_functional"):
        return _graph(plan, operation, taken, f"{name}.")
    if not isinstance(operation, keras.layers.Layer):
        return [_function(plan, operation, given, taken, shape[0])]
    if kind in DROPS:
        module = plan.layer(name, DROPS[kind], taken[0], shape[0], {"p": float(operation.rate)})
        return [plan.keeping(taken[0], module)]
    if kind in ONLY_IN_TRAINING:
        plan.notes.append(f"layer '{name}' ({kind}) does nothing but in training: left out")
        return [taken[0]]
    if kind in MERGES:
        return [_merged(plan, MERGES[kind], taken, shape[0])]
    rebuild = LAYERS.get(kind)
    if rebuild is None or type(operation) is not getattr(keras.layers, kind, None):
        raise refused(name, kind, "it has no twin in torch")
    return [rebuild(plan, operation, name, taken, shape[0])]


# -- activations, merges, functions


def _activation_layer(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    return activation(plan, name_of(layer.activation), name, taken[0])


def _relu(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    (x,), slope, most = taken, float(layer.negative_slope), layer.max_value
    if float(layer.threshold) != 0 or (slope and most is not None):
        raise refused(name, type(layer).__name__, "its threshold or its slope with a limit")
    if most is not None:
        given: tuple[str, dict[str, Any]] = (
            ("ReLU6", {}) if most == 6 else ("Hardtanh", {"min_val": 0.0, "max_val": float(most)})
        )
    else:
        given = ("LeakyReLU", {"negative_slope": slope}) if slope else ("ReLU", {})
    return plan.keeping(x, plan.layer(name, given[0], x, shape, given[1]))


def _by_slope(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    """LeakyReLU and ELU."""
    kind = type(layer).__name__
    given = {"negative_slope": float(layer.negative_slope)} if kind == "LeakyReLU" else {
        "alpha": float(layer.alpha)}  # fmt: skip
    return plan.keeping(taken[0], plan.layer(name, kind, taken[0], shape, given))


def _softmax(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    x = plan.last(taken[0]) if taken[0].rows else taken[0]
    if not isinstance(layer.axis, int):
        raise refused(name, type(layer).__name__, "several axes")
    return plan.keeping(x, plan.layer(name, "Softmax", x, shape, {"dim": x.axis(layer.axis)}))


def _joined(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    xs = plan.alike([plan.last(x) if x.rows else x for x in taken])
    made = plan.function("joined", xs, shape, {"axis": xs[0].axis(layer.axis)})
    return plan.keeping(xs[0], made)


def _merged(plan: Plan, kind: str, taken: Sequence[Value], shape: Sequence[Size]) -> Value:
    xs = plan.alike(taken)
    lead = max(xs, key=lambda x: x.rank)
    return plan.keeping(lead, plan.function(kind, xs, shape))


def _function(
    plan: Plan, operation: Any, given: Any, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    """An operator between tensors, such as ``x + y``, or with a number."""
    kind = type(operation).__name__
    named = {"Add": "add", "Multiply": "mul", "Subtract": "sub", "Divide": "div",
             "TrueDivide": "div", "Maximum": "maximum", "Minimum": "minimum"}  # fmt: skip
    numbers = [each for each in given.args if isinstance(each, int | float)]
    if kind in named and len(taken) == 2:
        return _merged(plan, named[kind], taken, shape)
    if len(taken) == 1 and len(numbers) == 1 and len(given.args) == 2:
        number, first = float(numbers[0]), not isinstance(given.args[0], int | float)
        scale_offset = {
            "Add": (1.0, number),
            "Multiply": (number, 0.0),
            "Subtract": (1.0, -number) if first else (-1.0, number),
            **({"Divide": (1 / number, 0.0), "TrueDivide": (1 / number, 0.0)} if first and number
               else {}),
        }.get(kind)  # fmt: skip
        if scale_offset is not None:
            scale, offset = scale_offset
            made = plan.function("scaled", taken, shape, {"scale": scale, "offset": offset})
            return plan.keeping(taken[0], made)
    plain = {"Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "Tanh": "tanh",
             "Softmax": "softmax", "Silu": "silu", "Gelu": "gelu"}.get(kind)  # fmt: skip
    if plain and len(taken) == 1:
        return activation(plan, plain, operation.name, taken[0])
    raise refused(operation.name, kind, "this function has no twin in torch")


def _same(
    plan: Plan, layer: Any, name: str, taken: Sequence[Value], shape: Sequence[Size]
) -> Value:
    return taken[0]


ACTIVE: dict[str, Rebuild] = {
    **dict.fromkeys(("LeakyReLU", "ELU"), _by_slope),
    "Activation": _activation_layer,
    "Concatenate": _joined,
    "Identity": _same,
    "ReLU": _relu,
    "Softmax": _softmax,
}
LAYERS: dict[str, Rebuild] = {
    **ACTIVE,
    **keras_convolutions.LAYERS,
    **keras_sizes.LAYERS,
    **keras_weights.LAYERS,
    **keras_recurrent.LAYERS,
}
