"""What formats of TensorFlow share: signature, runs and figures of a network. Workers load it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from edgeopt.agent import tf_network
from edgeopt.agent.errors import AgentError, one_line
from edgeopt.models.kind import by_names
from edgeopt.models.layout import CHANNELS, image_layout
from edgeopt.schema.artifact import BATCH, Description, Dim, Signature, Tensor
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.errors import ModelError

RECURRENT = ("While", "StatelessWhile")
OTHER_FLOATS = ("float16", "bfloat16", "float64")  # that a source may not hold
Run = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


class TensorflowFormat:
    """What formats that TensorFlow runs do alike; ``marker`` is the file that errors name."""

    marker: str

    def load(self, folder: Path) -> Any:
        """A ``tf_network.Network``. Raises ModelError."""
        return opened(folder, str(folder / self.marker))

    def save(self, model: Any, folder: Path) -> None:
        """Copy an artifact's folder. Raises ModelError for a live model."""
        if not isinstance(model, Path):
            raise ModelError("no pass gives a model of this format", where=str(folder))
        shutil.copytree(model, folder, dirs_exist_ok=True)

    def runner(self, folder: Path, threads: int = 1) -> Run:
        """TensorFlow on the CPU, in one graph."""
        return runner(self.load(folder), str(folder / self.marker))

    def conversion(
        self,
        folder: Path,
        runtime: str = "",
        feeds: Mapping[str, np.ndarray] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Conversion | None:
        """None: passes convert none into it."""
        return None


def opened(folder: Path, where: str) -> tf_network.Network:
    """The network of an artifact's folder. Raises ModelError, naming ``where``."""
    try:
        return tf_network.opened(str(folder))
    except AgentError as error:
        raise ModelError(error.what, where=where, hint=error.hint) from error


def described(
    fmt: str, network: tf_network.Network, facts: Iterable[str], where: str
) -> Description:
    """Signature and facts. Raises ModelError for an output without a rank."""
    sides = []
    for told in (network.inputs, network.outputs):
        sides.append(tuple(_tensor(one, where) for one in told))
    signature = Signature(inputs=sides[0], outputs=sides[1])
    fixed = set() if signature.dynamic_batch else {"static-batch"}
    kind = by_names((each.name, each.shape) for each in network.variables)
    return Description(
        format=fmt, signature=signature, facts=frozenset({*facts, *fixed}), kind=kind
    )


def runner(network: tf_network.Network, where: str) -> Run:
    """One batch of inputs in, outputs by name out. What it gives raises ModelError."""
    function = network.function()

    def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            outputs = function(*tf_network.feeds_of(network, feeds))
            return {one["name"]: outputs[one["name"]].numpy() for one in network.outputs}
        except Exception as error:  # TensorFlow's, Keras' and those of layers
            raise ModelError(
                f"TensorFlow {tf.__version__} cannot run the model: {one_line(error)}", where=where
            ) from error

    return run


def frozen(network: tf_network.Network, batch: int | None = None) -> Any:
    """A concrete function of the network whose variables are constants."""
    concrete = network.function(batch).get_concrete_function()
    return convert_variables_to_constants_v2(concrete, lower_control_flow=False)


def loops(network: tf_network.Network, batch: int | None = None) -> bool:
    """Whether the graph has loops, as recurrent layers become."""
    return any(op.type in RECURRENT for op in frozen(network, batch).graph.get_operations())


def macs(network: tf_network.Network) -> int | None:
    """Multiply-accumulates of one sample; None where the graph's shapes or loops do not tell."""
    graph, total = frozen(network, 1).graph, 0
    for op in graph.get_operations():
        if op.type in RECURRENT or "Call" in op.type:
            return None
        count = _macs_of(op)
        if count is None:
            return None
        total += count
    return total


def notes(network: tf_network.Network) -> tuple[str, ...]:
    """What a user should know of the model before it is converted."""
    if network.model is not None and tf_network.is_quantized(network.model):
        return (
            "quantized by Keras: TensorFlow's converter cannot make TFLite of it; give the float "
            "model, and let quantize-int8 quantize it",
        )
    return ()


def operators(network: tf_network.Network) -> dict[str, int]:
    """How often each operator stands in the graph, constants left out."""
    counts: dict[str, int] = {}
    for op in frozen(network, 1).graph.get_operations():
        if op.type not in ("Const", "Placeholder", "Identity", "NoOp"):
            counts[op.type] = counts.get(op.type, 0) + 1
    return dict(sorted(counts.items(), key=lambda each: -each[1]))


def _macs_of(op: Any) -> int | None:
    """Of one operator; 0 for one that multiplies no weights."""
    if op.type in ("Conv2D", "Conv3D"):
        kernel, made = _static(op.inputs[1]), _static(op.outputs[0])
        return None if kernel is None or made is None else prod(made) * prod(kernel[:-1])
    if op.type == "DepthwiseConv2dNative":
        kernel, made = _static(op.inputs[1]), _static(op.outputs[0])
        return None if kernel is None or made is None else prod(made) * prod(kernel[:2])
    if op.type == "Conv2DBackpropInput":
        kernel, taken = _static(op.inputs[1]), _static(op.inputs[2])
        return None if kernel is None or taken is None else prod(taken) * prod(kernel[:-1])
    if op.type in ("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"):
        left, made = _static(op.inputs[0]), _static(op.outputs[0])
        if left is None or made is None:
            return None
        transposed = bool(op.get_attr("transpose_a" if op.type == "MatMul" else "adj_x"))
        return prod(made) * left[-2 if transposed else -1]
    return 0


def _static(tensor: Any) -> Sequence[int] | None:
    if tensor.shape.rank is None or not tensor.shape.is_fully_defined():
        return None
    return [int(n) for n in tensor.shape.as_list()]


def _tensor(told: Mapping[str, Any], where: str) -> Tensor:
    if told["shape"] is None:
        raise ModelError(f"'{told['name']}' has no known rank", where=where)
    shape: tuple[Dim, ...] = tuple(told["shape"])
    return Tensor(name=told["name"], dtype=told["dtype"], shape=shape, layout=_layout(shape))


def _layout(shape: tuple[Dim, ...]) -> str:
    """Images are NHWC in TensorFlow, unless their shape says that they are not."""
    if len(shape) == 4 and shape[0] in (BATCH, 1) and shape[3] in CHANNELS:
        return "NHWC"
    return image_layout(shape)
