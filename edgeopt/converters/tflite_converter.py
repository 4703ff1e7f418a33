"""TensorFlow's converter to TFLite, for the passes that use it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import tensorflow as tf

from edgeopt.agent import tf_network
from edgeopt.agent.errors import one_line
from edgeopt.schema.errors import PassError

SIGNATURE = "serving_default"
NO_BUILTIN = re.compile(r"tf\.(\w+)")
MOST_SAID = 300  # characters of the converter's own words


def saved(model: tf_network.Network, batch: int, folder: Path) -> Path:
    """The folder of a SavedModel of the network with a fixed batch and with its variables.

    The converter must find every variable that the function reads: those of a Keras 3 model are
    not found through the model, and a file without them converts quietly and answers NaN.
    """
    module = tf.Module()
    module.read = model.variables
    module.loaded = getattr(model, "loaded", None)  # tables and constants of a SavedModel
    module.call = model.function(batch)
    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: module.call})
    return folder


def converted(converter: Any) -> bytes:
    """What the converter gives. Raises PassError, naming operators that LiteRT has not."""
    try:
        return bytes(converter.convert())
    except Exception as error:  # ConverterError, and what its passes raise
        raise _explained(error) from error


def _explained(error: Exception) -> PassError:
    """The operators that LiteRT has no kernel for, or the converter's first line."""
    text = str(error)
    lines = [line for line in text.splitlines() if "needed to be" in line or "custom op" in line]
    named = sorted({op for line in lines for op in NO_BUILTIN.findall(line)})
    if "Select TF ops" in text or "TF Select ops" in text or "flex" in text.lower():
        ops = ", ".join(named) or "see the converter's message"
        return PassError(
            f"LiteRT has no operator for: {ops}",
            hint="The converter would take them over as Flex operators, which no Python runtime of "
            "LiteRT runs. export-onnx may take them.",
        )
    return PassError(f"TensorFlow's converter failed: {one_line(error)[:MOST_SAID]}")
