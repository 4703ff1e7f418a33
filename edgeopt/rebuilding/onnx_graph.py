"""An ONNX graph as readers of its nodes see it: shapes, constants, who reads what.

Shapes are not inferred but seen: the graph runs with a batch of two and of three, every value of it
an output. What no input reaches (weights, shapes, what is computed of them) needs no node in torch.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from edgeopt.rebuilding.plan import INSTEAD, Plan, Size, Value
from edgeopt.schema.artifact import Signature
from edgeopt.schema.errors import PassError

Array = np.ndarray[Any, Any]
BATCHES = (2, 3)
SHAPE_OF = ("Shape", "Size")  # give what no value of their input changes
REPEATING = {"Add", "And", "Div", "Mul", "Or", "Sub", "Where"}  # along axes of size 1
PIECES = 64  # outputs of a run: all values at once may not fit into memory


@dataclass
class Graph:
    """What is known of a model, and the plan so far.

    ``held``: values that no input reaches, as they are with a batch of two. ``sized``: those of
    them that the batch changes. ``shapes``: of every value, None where the batch stands.
    """

    model: Any
    plan: Plan
    held: dict[str, Array]
    sized: frozenset[str]
    shapes: dict[str, tuple[Size, ...]]
    dtypes: dict[str, str]
    values: dict[str, Value] = field(default_factory=dict)
    readers: Counter[str] = field(default_factory=Counter)

    @property
    def opset(self) -> int:
        """The version of the standard operators."""
        return next((o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx")), 0)

    def constant(self, node: Node, place: int) -> Array:
        """An input that must be a constant. Raises PassError where it is none."""
        name = node.input(place)
        if name not in self.held or name in self.sized:
            raise node.refused(f"its input '{name}' is computed")
        return self.held[name]

    def live(self, name: str) -> Value:
        """A value that inputs reach, or a constant as one that a node gives."""
        if name not in self.values:
            array, shape = self.held[name], self.shapes[name]
            if name in self.sized:
                array, shape = self._one_row(name)
            self.values[name] = self.plan.constant(f"constant__{name}", array, shape)
        return self.values[name]

    def _one_row(self, name: str) -> tuple[Array, tuple[Size, ...]]:
        """A constant that is repeated over the batch, once: what reads it repeats it by itself.

        Raises PassError for what the batch decides otherwise.
        """
        array, shape = self.held[name], self.shapes[name]
        axes = [axis for axis, n in enumerate(shape) if n is None]
        rows = array.take([0], axes[0]) if len(axes) == 1 else array
        read = {n.op_type for n in self.model.graph.node if name in n.input}
        if len(axes) != 1 or not read <= REPEATING or (rows != array).any():
            raise PassError(
                f"value '{name}' cannot be rebuilt in torch: the batch decides it",
                hint=INSTEAD,
            )
        return rows, tuple(1 if n is None else n for n in shape)


@dataclass(frozen=True)
class Node:
    """A node with its attributes as Python values."""

    proto: Any
    name: str
    given: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Its operator."""
        return str(self.proto.op_type)

    @property
    def inputs(self) -> list[str]:
        """Names of what it reads; empty where an optional one is left out."""
        return list(self.proto.input)

    @property
    def outputs(self) -> list[str]:
        """Names of what it gives."""
        return list(self.proto.output)

    def input(self, place: int) -> str:
        """The name of an input; empty where it is left out."""
        return self.inputs[place] if place < len(self.inputs) else ""

    def refused(self, why: str) -> PassError:
        """An error that names the node."""
        return PassError(
            f"node '{self.name}' ({self.kind}) cannot be rebuilt in torch: {why}",
            hint=INSTEAD,
        )


def nodes_of(model: Any) -> list[Node]:
    """The graph's nodes in their order, each with a name that is its own as a module's, too."""
    found, taken = [], set[str]()
    for proto in model.graph.node:
        base = proto.name or (proto.output[0] if proto.output else proto.op_type)
        name, number = base, 1
        while re.sub(r"\W", "_", name) in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(re.sub(r"\W", "_", name))
        given = {a.name: _plain(helper.get_attribute_value(a)) for a in proto.attribute}
        found.append(Node(proto, name, given))
    return found


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def graph_of(model: Any, signature: Signature) -> Graph:
    """Run the model twice and see. Raises PassError where it does not run."""
    reached = {tensor.name for tensor in signature.inputs}
    produced, sizes = [], set[str]()
    for node in nodes_of(model):
        live = reached.intersection(node.inputs)
        if _within(node) or (live and node.kind not in SHAPE_OF):
            reached.update(node.outputs)
        else:
            sizes.update(node.outputs)
        produced += [name for name in node.outputs if name]
    runs = [_run(model, produced, _zeros(signature, batch)) for batch in BATCHES]
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    sized = set[str]()
    for name in produced:
        if name in sizes:
            two, three = (run[name] for run in runs)
            held[name] = two
            if two.shape != three.shape or (two != three).any():
                sized.add(name)
    first, second = ({**run, **_zeros(signature, n)} for run, n in zip(runs, BATCHES, strict=True))
    shapes = {name: _shape(first[name], second[name]) for name in first}
    shapes |= {name: array.shape for name, array in held.items() if name not in shapes}
    dtypes = {name: str(array.dtype) for name, array in (*held.items(), *first.items())}
    readers = Counter(name for node in nodes_of(model) for name in node.inputs)
    readers.update(output.name for output in model.graph.output)
    plan = Plan()
    return Graph(model, plan, held, frozenset(sized), shapes, dtypes, {}, readers)


def _within(node: Node) -> bool:
    """Whether a node holds a graph of its own, which may read any value."""
    return any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
               for a in node.proto.attribute)  # fmt: skip


def _shape(two: Array, three: Array) -> tuple[Size, ...]:
    if two.ndim != three.ndim:
        return tuple(two.shape)
    return tuple(a if a == b else None for a, b in zip(two.shape, three.shape, strict=True))


def _zeros(signature: Signature, batch: int) -> dict[str, Array]:
    return {
        tensor.name: np.zeros([n if isinstance(n, int) else batch for n in tensor.shape],
                              tensor.dtype)
        for tensor in signature.inputs
    }  # fmt: skip


def _run(model: Any, names: Sequence[str], feeds: Mapping[str, Array]) -> dict[str, Array]:
    """All values of the graph, node by node as the file says, some at a time."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    have = {output.name for output in whole.graph.output}
    whole.graph.output.extend(
        helper.make_empty_tensor_value_info(n) for n in names if n not in have
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    found: dict[str, Array] = {}
    try:
        session = onnxruntime.InferenceSession(
            whole.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        for start in range(0, len(names), PIECES):
            part = list(names[start : start + PIECES])
            found |= dict(zip(part, session.run(part, dict(feeds)), strict=True))
    except Exception as error:  # its exceptions share no public base
        raise PassError(f"to-torch: the model does not run on zeros: {error}") from error
    return found
