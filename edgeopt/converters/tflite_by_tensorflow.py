"""Networks that TensorFlow runs -> TFLite by TensorFlow's own converter."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from edgeopt.agent import tf_network
from edgeopt.converters.tflite_converter import converted
from edgeopt.formats.tflite.outputs import distinct, in_order
from edgeopt.step import PassContext
from edgeopt.tensorflow_pass import TfliteExport


def to_tflite(step: TfliteExport, model: tf_network.Network, ctx: PassContext) -> bytes:
    """Save the function as a SavedModel of a fixed batch and convert that, with LiteRT's own
    operators alone. Raises PassError naming those that it has not."""

    def prepare(converter: Any) -> None:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]

    content = converted(model, step.batch, ctx.workdir, prepare)
    signature = ctx.description.signature
    inputs, outputs = ([t.name for t in side] for side in (signature.inputs, signature.outputs))
    return distinct(in_order(content, inputs, outputs), outputs)
