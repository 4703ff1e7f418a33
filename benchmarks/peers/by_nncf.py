"""NNCF: https://docs.openvino.ai/2025/openvino-workflow/model-optimization-guide/quantizing-models-post-training.html"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ["NNCF_CI"] = "1"  # else it reports its use over the network

import nncf
import onnx
from given import Feeds, made


def quantized(source: Path, feeds: Feeds, file: Path, **options: Any) -> None:
    model = nncf.quantize(onnx.load(source), nncf.Dataset(feeds), **options)
    onnx.save(model, file)


def default(source: Path, feeds: Feeds, file: Path) -> None:
    """As called without options: 300 samples, symmetric."""
    quantized(source, feeds, file)


def mixed(source: Path, feeds: Feeds, file: Path) -> None:
    """All samples, asymmetric activations, as its guide says for accuracy."""
    quantized(source, feeds, file, preset=nncf.QuantizationPreset.MIXED, subset_size=len(feeds))


def transformer(source: Path, feeds: Feeds, file: Path) -> None:
    """As its guide says for transformers."""
    quantized(source, feeds, file, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(feeds))


def opset13(source: Path, feeds: Feeds, file: Path) -> None:
    """Mixed, the model brought to opset 13 first: below it has no scales by channel."""
    lifted = onnx.version_converter.convert_version(onnx.load(source), 13)
    model = nncf.quantize(
        lifted, nncf.Dataset(feeds), preset=nncf.QuantizationPreset.MIXED, subset_size=len(feeds)
    )
    onnx.save(model, file)


made({"default": default, "mixed": mixed, "transformer": transformer, "opset13": opset13})
