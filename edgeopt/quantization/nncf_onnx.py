"""ONNX graphs quantized by NNCF, the quantizer of OpenVINO's makers."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto

from edgeopt.agent.errors import one_line
from edgeopt.models.kind import LINEAR
from edgeopt.quantization.calibration import batches
from edgeopt.schema.errors import PassError
from edgeopt.step import PassContext

if TYPE_CHECKING:
    from edgeopt.passes.quantize_int8_onnx import QuantizeInt8

SAID = 300  # characters of an error


def by_nncf(step: QuantizeInt8, model: ModelProto, ctx: PassContext) -> ModelProto:
    """The graph with quantizers where NNCF puts them, biases corrected by it.

    Networks of matrix products are quantized as its transformers, which keeps sums and norms in
    float. Source: NNCF's guide to post-training quantization. Raises DataError, and PassError
    where NNCF fails or is not installed.
    """
    os.environ["NNCF_CI"] = "1"  # else it reports its use over the network
    import nncf  # of an extra

    nncf.set_log_level(logging.ERROR)
    feeds = [
        {name: np.array(each) for name, each in feed.items()} for feed in batches(ctx, step.samples)
    ]
    try:
        quantized: ModelProto = nncf.quantize(
            model,
            nncf.Dataset(feeds),
            preset=nncf.QuantizationPreset(step.scheme),
            subset_size=len(feeds),
            model_type=nncf.ModelType.TRANSFORMER if ctx.description.kind == LINEAR else None,
        )
    except Exception as error:  # its own, ONNX's, ONNX Runtime's
        raise PassError(f"NNCF failed: {one_line(error, SAID)}") from error
    return quantized
