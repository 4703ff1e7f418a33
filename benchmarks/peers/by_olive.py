"""Olive: https://microsoft.github.io/Olive/features/quantization.html"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from given import Feeds, made

os.environ["OLIVE_DISABLE_TELEMETRY"] = "1"

from olive import run
from olive.data.config import DataComponentConfig, DataConfig
from olive.data.registry import Registry

FEEDS: Feeds = []


class Samples:
    """What Olive calls a dataset: (inputs, label)."""

    def __len__(self) -> int:
        return len(FEEDS)

    def __getitem__(self, index: int) -> tuple[dict[str, Any], int]:
        return {name: array[0] for name, array in FEEDS[index].items()}, 0


@Registry.register_dataset()
def peer_samples(**_options: Any) -> Samples:
    return Samples()


def quantized(source: Path, feeds: Feeds, file: Path, kind: str, **options: Any) -> None:
    FEEDS[:] = feeds
    data = DataConfig(
        name="samples",
        load_dataset_config=DataComponentConfig(type="peer_samples"),
        dataloader_config=DataComponentConfig(params={"batch_size": 1}),
    )
    if "Dynamic" not in kind:
        options["data_config"] = data.model_dump()
    with tempfile.TemporaryDirectory() as folder:
        run({
            "input_model": {"type": "ONNXModel", "model_path": str(source)},
            "passes": {"q": {"type": kind, **options}},
            "output_dir": folder, "cache_dir": f"{folder}/cache", "evaluate_input_model": False,
        })  # fmt: skip
        (written,) = [p for p in Path(folder).glob("*.onnx")] or list(
            Path(folder).glob("**/model.onnx")
        )[:1]
        shutil.copy(written, file)


def default(source: Path, feeds: Feeds, file: Path) -> None:
    """Static, as its pass is without options."""
    quantized(source, feeds, file, "OnnxStaticQuantization")


def best(source: Path, feeds: Feeds, file: Path) -> None:
    """By channel, u8s8."""
    quantized(
        source, feeds, file, "OnnxStaticQuantization", per_channel=True,
        activation_type="uint8", precision="int8",
    )  # fmt: skip


def dynamic(source: Path, feeds: Feeds, file: Path) -> None:
    """As its pass is without options."""
    quantized(source, feeds, file, "OnnxDynamicQuantization")


def dynamic_best(source: Path, feeds: Feeds, file: Path) -> None:
    """By channel, weights of 7 bits."""
    quantized(source, feeds, file, "OnnxDynamicQuantization", per_channel=True, reduce_range=True)


made({"default": default, "best": best, "dynamic": dynamic, "dynamic-best": dynamic_best})
