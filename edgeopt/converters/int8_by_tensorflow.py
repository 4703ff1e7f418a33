"""Networks that TensorFlow runs -> TFLite in INT8, by TensorFlow's own converter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from edgeopt.agent import tf_network
from edgeopt.agent.feeds import as_fed
from edgeopt.converters.tflite_converter import converted
from edgeopt.formats.tflite import files
from edgeopt.formats.tflite.describe import quantization_form
from edgeopt.formats.tflite.outputs import distinct, in_order
from edgeopt.models.tensorflow_graph import loops
from edgeopt.schema.errors import DataError, PassError
from edgeopt.step import PassContext
from edgeopt.tensorflow_pass import TfliteQuantized

SETS = {  # scheme -> operators that the converter may use
    "static": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS],
    "dynamic": [tf.lite.OpsSet.TFLITE_BUILTINS],
}


def to_int8(step: TfliteQuantized, model: tf_network.Network, ctx: PassContext) -> bytes:
    """Convert with ranges of the calibration samples. Raises PassError where no weight is INT8."""
    if step.scheme == "static" and loops(model, step.batch):
        raise PassError(
            "'scheme: static' cannot calibrate inside loops, which recurrent layers are here",
            hint="use 'scheme: dynamic', which needs no calibration",
        )
    samples = list(_samples(step, ctx)) if step.scheme == "static" else []

    def prepare(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = SETS[step.scheme]
        if samples:
            converter.representative_dataset = lambda: iter(samples)

    content = converted(model, step.batch, ctx.workdir, prepare)
    signature = ctx.description.signature
    inputs, outputs = ([t.name for t in side] for side in (signature.inputs, signature.outputs))
    content = distinct(in_order(content, inputs, outputs), outputs)
    if not quantization_form(files.unpack(content, "the quantized model")):
        raise PassError(
            f"TensorFlow's converter quantized no weight by 'scheme: {step.scheme}'",
            hint="'dynamic' leaves weights of fewer than 1,024 numbers as they are.",
        )
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
