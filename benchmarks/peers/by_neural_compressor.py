"""ONNX Neural Compressor: https://github.com/onnx/neural-compressor, its guides to quantization."""

from __future__ import annotations

from pathlib import Path

from given import Feeds, Reader, made
from onnx_neural_compressor.data_reader import CalibrationDataReader
from onnx_neural_compressor.quantization import QuantType, config, quantize


class Samples(Reader, CalibrationDataReader):
    """Its own kind of reader."""


def default(source: Path, feeds: Feeds, file: Path) -> None:
    """Static, as its configuration is without options."""
    quantize(str(source), str(file), config.StaticQuantConfig(Samples(feeds)))


def best(source: Path, feeds: Feeds, file: Path) -> None:
    """By channel, u8s8, weights of 7 bits: its guide for CPUs without VNNI."""
    quantize(
        str(source), str(file),
        config.StaticQuantConfig(
            Samples(feeds), per_channel=True, reduce_range=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        ),
    )  # fmt: skip


def smooth(source: Path, feeds: Feeds, file: Path) -> None:
    """SmoothQuant, then static."""
    quantize(
        str(source), str(file), config.SmoothQuantConfig(calibration_data_reader=Samples(feeds))
    )


def dynamic(source: Path, feeds: Feeds, file: Path) -> None:
    """As its configuration is without options."""
    quantize(str(source), str(file), config.DynamicQuantConfig())


made({"default": default, "best": best, "smooth": smooth, "dynamic": dynamic})
