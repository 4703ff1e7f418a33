"""Networks that TensorFlow runs -> TFLite in INT8, by TensorFlow's own converter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from edgeopt.agent import tf_network
from edgeopt.agent.feeds import as_fed
from edgeopt.converters.tflite_converter import converted, saved
from edgeopt.formats.tflite import files
from edgeopt.formats.tflite.conversion import unquantized
from edgeopt.formats.tflite.describe import quantization_form
from edgeopt.formats.tflite.outputs import distinct, in_order
from edgeopt.schema.errors import DataError
from edgeopt.step import PassContext
from edgeopt.tensorflow_pass import TfliteQuantized

SETS = {  # scheme -> operators that the converter may use
    "static": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS],
    "dynamic": [tf.lite.OpsSet.TFLITE_BUILTINS],
}


def to_int8(step: TfliteQuantized, model: tf_network.Network, ctx: PassContext) -> bytes:
    """Convert with ranges of the calibration samples. Raises PassError where no weight is INT8."""
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved(model, step.batch, ctx.workdir / "saved"))
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = SETS[step.scheme]
    if step.scheme == "static":
        samples = list(_samples(step, ctx))
        converter.representative_dataset = lambda: iter(samples)
    signature = ctx.description.signature
    inputs, outputs = ([t.name for t in side] for side in (signature.inputs, signature.outputs))
    content = distinct(in_order(converted(converter), inputs, outputs), outputs)
    if not quantization_form(files.unpack(content, "the quantized model")):
        raise unquantized(content, step.scheme)
    return content


def _samples(step: TfliteQuantized, ctx: PassContext) -> Iterator[dict[str, Any]]:
    """Feeds by input, in the file's batch. Raises DataError where there are too few samples."""
    arrays = ctx.data("calibration")
    count = min(step.samples, *map(len, arrays.values())) // step.batch * step.batch
    if not count:
        raise DataError(f"too few calibration samples: the model takes {step.batch} at a time")
    for start in range(0, count, step.batch):
        ctx.progress(start, count, samples=count)
        rows = {name: array[start : start + step.batch] for name, array in arrays.items()}
        fed = as_fed(rows, ctx.axes)
        yield {name: np.ascontiguousarray(array) for name, array in fed.items()}
