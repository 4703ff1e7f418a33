"""Which nodes of an ONNX graph float16 harms: found before anything is converted.

Each node is run twice, on its inputs as they are and on the same rounded to float16, both in
float32. What its answers lose between the two is the node's own doing: a difference of nearly equal
numbers loses most of its digits, however near its inputs were. So is what rounding its answers
does, where they are too small for float16.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgeopt.formats.onnx import files
from edgeopt.formats.onnx.describe import constants, nodes
from edgeopt.formats.onnx.files import graphs
from edgeopt.quantization.forms_onnx import WEIGHTED, unused, value_names

LARGEST = float(np.finfo(np.float16).max)  # 65,504
HEADROOM = 2.0  # what other samples may exceed the largest value seen by
LIMIT = 1e30  # constants from here on stand for infinity, as in masks: clamping them is right
LEAST_DB = 40.0  # signal to rounding noise, 1% of the root mean square; float16 rounds at 74 dB
Array = np.ndarray[Any, Any]


class Harm(NamedTuple):
    """A node that float16 harms, and how."""

    node: str
    op: str
    why: str

    def __str__(self) -> str:
        return f"{self.op} '{self.node}' ({self.why})"


def harmed(model: ModelProto, feeds: Iterable[Mapping[str, Any]], workdir: Path) -> list[Harm]:
    """Nodes of the main graph to keep in float32, in the graph's order; names must be unique.

    By their constants, and on ``feeds`` by what their inputs and outputs hold: none without feeds.
    With a node that amplifies what rounding does to its inputs, all from the products on that its
    inputs come from; with one whose outputs underflow, those that read them: else the values are
    rounded on the way. Raises what ONNX Runtime raises.
    """
    chains = _Chains(model)
    for node, why in _by_constants(model):
        chains.keep(node, why)
        chains.keep_readers(node)
    if seen := _Seen.on(feeds, model, workdir):
        for node in model.graph.node:
            if over := seen.overflows(node):
                chains.keep(node, over)
            elif (db := seen.worst_db(seen.amplified, node)) < LEAST_DB:
                chains.keep(node, f"{db:.0f} dB are left when its inputs are rounded")
                chains.keep_makers(node)
            elif (db := seen.worst_db(seen.underflow, node)) < LEAST_DB:
                chains.keep(node, f"{db:.0f} dB are left when its outputs are rounded")
                chains.keep_readers(node)
    kept = chains.kept
    return [Harm(n.name, n.op_type, kept[n.name]) for n in model.graph.node if n.name in kept]


class _Chains:
    """Nodes that are kept, each with the reason, and what they hang together with."""

    def __init__(self, model: ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.makers = {out: node for node in self.nodes for out in node.output}
        self.kept: dict[str, str] = {}

    def keep(self, node: NodeProto, why: str) -> None:
        """The first reason stands."""
        self.kept.setdefault(node.name, why)

    def keep_readers(self, node: NodeProto) -> None:
        """What reads its outputs."""
        made = set(node.output)
        for each in self.nodes:
            if made & set(each.input):
                self.keep(each, f"reads what '{node.name}' makes")

    def keep_makers(self, node: NodeProto) -> None:
        """What its inputs come from, back to the nearest products."""
        pending = list(node.input)
        while pending:
            maker = self.makers.get(pending.pop())
            if maker is None or maker.name in self.kept:
                continue
            self.keep(maker, f"'{node.name}' needs it in full")
            if maker.op_type not in WEIGHTED:
                pending += maker.input


def _by_constants(model: ModelProto) -> Iterator[tuple[NodeProto, str]]:
    """Readers of constants that float16 does not hold."""
    lost = {}
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and (why := _lost(numpy_helper.to_array(tensor))):
            lost[tensor.name] = why
    for node in model.graph.node:
        value = next((a.t for a in node.attribute if a.name == "value"), None)
        if node.op_type == "Constant" and value is not None:
            array = numpy_helper.to_array(value)
            if array.dtype == np.float32 and (why := _lost(array)):
                lost[node.output[0]] = why
                yield node, why
        for name in node.input:
            if name in lost:
                yield node, f"reads '{name}', {lost[name]}"


def _lost(array: Array) -> str:
    """What float16 does to a constant, if much: empty else."""
    sizes = np.abs(array.astype(np.float64))
    sizes = sizes[sizes < LIMIT]
    largest = float(sizes.max(initial=0.0))
    if largest > LARGEST:
        return f"up to {largest:.3g}, more than float16 holds"
    noise = sizes - sizes.astype(np.float16).astype(np.float64)
    if largest and _db(float((sizes**2).sum()), float((noise**2).sum())) < LEAST_DB:
        return f"at most {largest:.3g}, less than float16 tells from 0"
    return ""


@dataclass
class _Seen:
    """What a graph's tensors held: largest values, and signal and noise of each rounding."""

    largest: dict[str, float]
    amplified: dict[str, Array]  # by its inputs' rounding
    underflow: dict[str, Array]  # by its own

    @classmethod
    def on(
        cls, feeds: Iterable[Mapping[str, Any]], model: ModelProto, workdir: Path
    ) -> _Seen | None:
        """None without feeds."""
        session: Any = None
        seen, watched = cls({}, {}, {}), _Watched(model)
        for feed in feeds:
            session = session or _session(watched.model, workdir / "watched.onnx")
            names = watched.told
            told = dict(zip(names, map(float, session.run(names, dict(feed))), strict=True))
            for tensor, name in watched.largest.items():
                seen.largest[tensor] = max(seen.largest.get(tensor, 0.0), told[name])
            for held, pairs in (
                (seen.amplified, watched.amplified),
                (seen.underflow, watched.underflow),
            ):
                for tensor, (signal, noise) in pairs.items():
                    powers = np.array([told[signal], told[noise]])
                    held[tensor] = held.get(tensor, np.zeros(2)) + powers
        return seen if session else None

    def overflows(self, node: NodeProto) -> str:
        """The tensor that may not fit, of those that it makes or reads; empty where all do."""
        for name in (*node.output, *node.input):
            if (largest := self.largest.get(name, 0.0)) > LARGEST / HEADROOM:
                return f"'{name}' reaches {largest:.3g}, float16 ends at {LARGEST:,.0f}"
        return ""

    def worst_db(self, powers: Mapping[str, Array], node: NodeProto) -> float:
        """The least signal to noise of its outputs, in decibels."""
        return min((_db(*powers[n]) for n in node.output if n in powers), default=float("inf"))


def _session(model: ModelProto, file: Path) -> Any:
    files.write(model, file)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _db(signal: float, noise: float) -> float:
    """Infinite where there is no noise, or no number to go by."""
    if not noise > 0 or not np.isfinite(signal):
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal > 0 else float("-inf")


def join_casts(model: ModelProto) -> None:
    """Hand float32 on from one kept node to the next: the converter rounds it to float16 between.

    A cast to float16 that only such casts read is left out. Outputs of the graph keep theirs.
    """
    graph = model.graph
    floats = _float_names(model)
    to = {n.output[0]: (n, n.attribute[0].i) for n in graph.node if n.op_type == "Cast"}
    whole = {
        name: to[node.input[0]][0].input[0]
        for name, (node, kind) in to.items()
        if kind == TensorProto.FLOAT
        and to.get(node.input[0], (None, 0))[1] == TensorProto.FLOAT16
        and to[node.input[0]][0].input[0] in floats
    }
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in whole:
                node.input[place] = whole[name]
    while dead := _unread_casts(model):
        for node in dead:
            graph.node.remove(node)


def _unread_casts(model: ModelProto) -> list[NodeProto]:
    """Casts of the main graph that no node reads, of bodies neither, and no output is."""
    read = {name for node in nodes(model) for name in node.input}
    read |= {value.name for graph in graphs(model.graph) for value in graph.output}
    return [n for n in model.graph.node if n.op_type == "Cast" and n.output[0] not in read]


class _Watched:
    """A copy of a graph that tells the largest value of each float tensor, and for each node that
    computes floats from floats the power of its answers, of what rounding its inputs changes, and
    of what rounding its answers does.
    """

    def __init__(self, model: ModelProto) -> None:
        self.model = ModelProto()
        self.model.CopyFrom(model)
        self.graph = self.model.graph
        self.known = value_names(model)
        self.floats = _float_names(model)
        self.held = {each.name for each in constants(model).values()}
        self.rounded: dict[str, str] = {}
        self.told: list[str] = []
        self.largest: dict[str, str] = {}
        self.amplified: dict[str, tuple[str, str]] = {}
        self.underflow: dict[str, tuple[str, str]] = {}
        self.limit, self.none = (
            self._held(what, value) for what, value in (("limit", LIMIT), ("none", 0.0))
        )
        del self.graph.output[:]
        del self.graph.node[:]
        for name in [value.name for value in model.graph.input if value.name in self.floats]:
            self._watch(name)
        for node in model.graph.node:
            self.graph.node.append(node)
            self._rounded_twin(node)
            for name in self._made(node):
                self._watch(name)

    def _made(self, node: NodeProto) -> list[str]:
        return [name for name in node.output if name in self.floats and name not in self.held]

    def _rounded_twin(self, node: NodeProto) -> None:
        """The same node on rounded inputs, and what comes of either rounding."""
        made = self._made(node)
        if not made or self.floats.isdisjoint(node.input) or any(files.graphs_of(node)):
            return
        twin = NodeProto()
        twin.CopyFrom(node)
        twin.name = unused(f"{node.name}_rounded", self.known)
        for place, name in enumerate(node.input):
            if name in self.floats:
                twin.input[place] = self._rounded(name)
        for place, name in enumerate(node.output):
            if name:
                twin.output[place] = unused(f"{name}_twin", self.known)
        self.graph.node.append(twin)
        for name, other in zip(node.output, twin.output, strict=True):
            if name in made:
                signal = self._power(name)
                self.amplified[name] = (signal, self._power(self._add("Sub", [name, other])))
                off = self._add("Sub", [name, self._rounded(name)])
                self.underflow[name] = (signal, self._power(off))

    def _rounded(self, name: str) -> str:
        if name not in self.rounded:
            half = self._add("Cast", [name], to=TensorProto.FLOAT16)
            self.rounded[name] = self._add("Cast", [half], to=TensorProto.FLOAT)
        return self.rounded[name]

    def _watch(self, name: str) -> None:
        """Its largest value; what stands for infinity is none."""
        size = self._add("Abs", [name])
        number = self._add("Less", [size, self.limit])
        size = self._add("Where", [number, size, self.none])
        self.largest[name] = self._tell(self._add("ReduceMax", [size], keepdims=0))

    def _power(self, name: str) -> str:
        squared = self._add("Mul", [name, name])
        return self._tell(self._add("ReduceSum", [squared], keepdims=0))

    def _tell(self, name: str) -> str:
        self.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, []))
        self.told.append(name)
        return name

    def _held(self, name: str, value: float) -> str:
        name = unused(name, self.known)
        array = np.array(value, np.float32)
        self.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def _add(self, op: str, reads: list[str], **attributes: Any) -> str:
        out = unused(f"{reads[0]}_{op}", self.known)
        self.graph.node.append(helper.make_node(op, reads, [out], name=out, **attributes))
        return out


def _float_names(model: ModelProto) -> set[str]:
    """Tensors of the main graph that are known to be float32."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = [*inferred.input, *inferred.value_info, *inferred.output]
    typed = {v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT}
    return typed | {t.name for t in model.graph.initializer if t.data_type == TensorProto.FLOAT}
