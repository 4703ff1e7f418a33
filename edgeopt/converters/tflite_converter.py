"""TensorFlow's converter to TFLite, for the passes that use it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from edgeopt.agent import tf_network
from edgeopt.agent.errors import one_line
from edgeopt.converters.frozen import frozen
from edgeopt.schema.errors import PassError

SIGNATURE = "serving_default"
FREE_LIST = "requires element_shape to be static"  # what the converter says
NO_BUILTIN = re.compile(r"tf\.(\w+)")
MOST_SAID = 300  # characters of the converter's own words


def converted(
    model: tf_network.Network, batch: int, workdir: Path, prepare: Callable[[Any], None]
) -> bytes:
    """A file of the network with a fixed batch, of a converter that ``prepare`` has set.

    The loops of a SavedModel's recurrent layers hold the free batch that it was traced with. Where
    the converter asks for fixed sizes, the batch is written into them. Raises PassError, naming
    operators that LiteRT has not.
    """
    try:
        return _from_saved(_saved(model, batch, workdir / "saved"), prepare)
    except Exception as error:  # ConverterError, and what its passes raise
        if FREE_LIST not in str(error):
            raise _explained(error) from error
    try:
        return _from_saved(_saved(model, batch, workdir / "fixed", fixed=True), prepare)
    except Exception as error:
        raise _explained(error) from error


def _from_saved(folder: Path, prepare: Callable[[Any], None]) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[SIGNATURE])
    prepare(converter)
    return bytes(converter.convert())


def _saved(model: tf_network.Network, batch: int, folder: Path, *, fixed: bool = False) -> Path:
    """The folder of a SavedModel of the network with a fixed batch and with its variables.

    The converter must find every variable that the function reads: those of a Keras 3 model are
    not found through the model, and a file without them converts quietly and answers NaN.
    """
    module = tf.Module()
    module.read = model.variables
    module.loaded = model.loaded  # tables and constants of a SavedModel
    module.call = _with_fixed_lists(model, batch) if fixed else model.function(batch)
    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: module.call})
    return folder


def _with_fixed_lists(model: tf_network.Network, batch: int) -> Any:
    """The function with constants for variables, whose lists of tensors hold ``batch`` rows."""
    return frozen(model, batch, lambda nodes: _fix(nodes, batch))


def _fix(nodes: Any, batch: int) -> None:
    """Write the batch into the shapes of lists whose first size is free."""
    constants = {node.name: node for node in nodes if node.op == "Const"}
    for node in nodes:
        if not node.op.startswith("TensorList"):
            continue
        for name in node.input:
            constant = constants.get(name.lstrip("^").partition(":")[0])
            if constant is None:
                continue
            shape = tf.make_ndarray(constant.attr["value"].tensor)
            if shape.ndim == 1 and shape.size > 1 and shape[0] == -1 and (shape[1:] >= 0).all():
                shape = np.concatenate([[batch], shape[1:]]).astype(shape.dtype)
                constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(shape))


def _explained(error: Exception) -> PassError:
    """The operators that LiteRT has no kernel for, or the converter's first line."""
    text = str(error)
    lines = [line for line in text.splitlines() if "needed to be" in line or "custom op" in line]
    if named := sorted({op for line in lines for op in NO_BUILTIN.findall(line)}):
        return PassError(
            f"LiteRT has no operator for: {', '.join(named)}",
            hint="The converter would take them over as Flex operators, which no Python runtime of "
            "LiteRT runs. export-onnx may take them.",
        )
    said = next((line for line in text.splitlines() if "error:" in line), one_line(error))
    return PassError(f"TensorFlow's converter failed: {said.strip()[-MOST_SAID:]}")
