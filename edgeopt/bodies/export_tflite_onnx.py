"""ONNX -> TFLite by onnx2tf. It runs in the tool environment of that name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx2tf
import onnxsim
from onnx import helper

from edgeopt.agent.errors import one_line
from edgeopt.formats.onnx.describe import RECURRENT, fix_batch
from edgeopt.formats.onnx.format import FORMAT as ONNX
from edgeopt.formats.tflite.format import FORMAT as TFLITE
from edgeopt.formats.tflite.outputs import distinct, in_order, permuted
from edgeopt.passes.export_tflite_onnx import ExportTflite
from edgeopt.schema.artifact import Tensor
from edgeopt.schema.errors import PassError
from edgeopt.step import PassContext

REFUSED = re.compile(r"op=(\S+) node=(.*?) reason_code=(\S+) message=(.*)", re.DOTALL)
MOST_SAID = 400
STATES = (5, 6)  # inputs of recurrent nodes: first states


def run(step: ExportTflite, model: Any, ctx: PassContext) -> bytes:
    """What onnx2tf writes in float32, inputs and outputs in the model's order and shapes."""
    model = prepared(model, step.batch)
    signature = ctx.description.signature
    inputs, outputs = ([t.name for t in side] for side in (signature.inputs, signature.outputs))
    folder = ctx.workdir / "converted"
    try:
        onnx2tf.convert(
            onnx_graph=model,
            output_folder_path=str(folder),
            keep_shape_absolutely_input_names=inputs,  # else it makes images and steps NHWC, NWC
            copy_onnx_input_output_names_to_tflite=True,
            enable_rnn_unroll=True,  # else an LSTM goes on where the last inference left it
            non_verbose=True,
            verbosity="error",
        )
    except (Exception, SystemExit) as error:  # it ends the process for models that it refuses
        raise _explained(error) from error
    made = sorted(folder.glob("*_float32.tflite"))
    if len(made) != 1:
        raise PassError(f"onnx2tf wrote {len(made)} files in float32, where one was expected")
    content = in_order(made[0].read_bytes(), inputs, outputs, "onnx2tf")
    after = step.effect(ctx.description).signature
    content = permuted(content, _orders(model, content, after.inputs, ctx.workdir))
    return distinct(content, outputs)


def prepared(model: Any, batch: int) -> Any:
    """The graph with a fixed batch, sizes inferred anew and constants folded.

    onnx2tf can be told a batch (``batch_size``), but it still computes at run time what hangs on a
    size that the file's own shapes call free, and takes no first state of a recurrent layer that
    is computed. One of zeros is what is meant without one.
    """
    fix_batch(model, batch)
    _drop_grids(model)
    del model.graph.value_info[:]
    known = onnx.shape_inference.infer_shapes(model, data_prop=True)
    simplified, sound = onnxsim.simplify(known)
    if not sound:
        raise PassError("onnxsim says that its own result is not sound")
    held = {t.name: onnx.numpy_helper.to_array(t) for t in simplified.graph.initializer}
    for number, node in enumerate(simplified.graph.node):
        for place, name in enumerate(node.output):  # else onnx2tf takes the next one for it
            node.output[place] = name or f"left_out_{number}_{place}"
        for place in STATES if node.op_type in RECURRENT else ():
            name = node.input[place] if place < len(node.input) else ""
            if name in held and not held[name].any():
                node.input[place] = ""
    return simplified


def _drop_grids(model: Any) -> None:
    """Let values go past QuantizeLinear and DequantizeLinear, which onnx2tf writes as ten float
    operators each. Those of weights stay: they are constants, and folded.

    A grid that begins at 0 stands for a ReLU, and one that ends at 6 for a ReLU6: quantizers of
    ONNX drop the nodes for it.
    """
    held = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    grids = {node.output[0]: node for node in model.graph.node if node.op_type == "QuantizeLinear"}
    bounds = {"grid_from": 0.0, "grid_to": 6.0}
    for name, value in bounds.items() if grids else ():
        held_bound = np.array(value, np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(held_bound, name))
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in grids:
            continue
        value = grids[node.input[0]].input[0]
        low, high, step = _range(node, held)
        kind, inputs = "Identity", [value]
        if low == 0.0:
            kind = "Relu"
            if abs(high - bounds["grid_to"]) <= step:
                kind, inputs = "Clip", [value, *bounds]
        node.CopyFrom(helper.make_node(kind, inputs, list(node.output), node.name))


def _range(node: Any, held: Mapping[str, Any]) -> tuple[float, float, float]:
    """The least and the largest value of a grid, and its step; a step of 0 where it is none."""
    zero = held.get(node.input[2]) if len(node.input) > 2 else np.array(0, np.uint8)
    scale = held.get(node.input[1])
    if scale is None or zero is None or scale.size != 1 or zero.dtype.kind not in "iu":
        return -1.0, 0.0, 0.0
    ends = np.iinfo(zero.dtype)
    step, at = float(scale.reshape(-1)[0]), int(zero.reshape(-1)[0])
    return (ends.min - at) * step, (ends.max - at) * step, step


def _orders(
    model: Any, content: bytes, inputs: tuple[Tensor, ...], workdir: Path
) -> dict[str, list[int]]:
    """How to bring outputs into the model's order of axes, where onnx2tf puts channels last.

    Found by what both answer, since shapes alone do not tell: 8 channels of 8 by 8.
    """
    rng = np.random.default_rng(0)
    feeds = {
        t.name: (
            rng.normal(size=_sizes(t)).astype(t.dtype)
            if t.dtype.startswith("float")
            else np.zeros(_sizes(t), t.dtype)
        )
        for t in inputs
    }
    before, after = workdir / "before", workdir / "after"
    ONNX.save(model, before)
    TFLITE.save(content, after)
    wanted, found = ONNX.runner(before)(feeds), TFLITE.runner(after)(feeds)
    return {
        name: order
        for name, array in wanted.items()
        if (order := _order(array, found[name])) != list(range(array.ndim))
    }


def _sizes(tensor: Tensor) -> list[int]:
    return [n for n in tensor.shape if isinstance(n, int)]


def _order(wanted: Any, found: Any) -> list[int]:
    """The axes of what was found, in the order that was wanted."""
    plain = list(range(wanted.ndim))
    channels_first = [0, wanted.ndim - 1, *range(1, wanted.ndim - 1)]
    off: dict[tuple[int, ...], float] = {}
    for order in (plain, channels_first) if wanted.ndim > 2 else ():
        moved = found.transpose(order) if found.ndim == wanted.ndim else found
        if moved.shape == wanted.shape:
            off[tuple(order)] = float(np.abs(moved - wanted).max(initial=0.0))
    nearest: tuple[int, ...] = min(off, key=off.__getitem__, default=tuple(plain))
    return list(nearest)


def _explained(error: BaseException) -> PassError:
    """What onnx2tf says, with the node and its reason code where it names them."""
    if found := REFUSED.search(str(error)):
        op, node, code, message = found.groups()
        said = " ".join(message.split())[:MOST_SAID]
        return PassError(f"onnx2tf refuses node '{node}' ({op}): {said} ({code})")
    if isinstance(error, SystemExit):
        return PassError("onnx2tf refuses the model and says no more")
    return PassError(f"onnx2tf failed: {one_line(error, MOST_SAID)}")
