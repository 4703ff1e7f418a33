"""What the tests of passes to and on TFLite share: networks, and what a worker does with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from passes_bench import Context

from edgeopt.formats import format_named
from edgeopt.schema.artifact import Description
from edgeopt.step import Pass

NET = """
import dataclasses

import torch
from torch import nn
from torch.nn import functional

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.norm = nn.BatchNorm2d(16)
        self.deep = nn.Conv2d(16, 16, 3, 1, 1, groups=16)
        self.head = nn.Linear(16, 5)

    def forward(self, image):
        y = torch.relu(self.norm(self.stem(image)))
        return self.head((y + torch.relu(self.deep(y))).mean(dim=(2, 3)))

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(20, 8)
        self.line = nn.Linear(8, 4)

    def forward(self, tokens, gain):
        y = self.line(self.table(tokens)).mean(1) * gain
        return {"second": y.softmax(-1), "first": y}

class Refused(nn.Module):
    # layers that litert-torch refuses, or converts into something else

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.up = nn.ConvTranspose2d(3, 4, 3, 2, 1, output_padding=1)
        self.grouped = nn.ConvTranspose2d(4, 4, 3, 2, 1, groups=2)
        self.line = nn.Conv1d(16, 4, 4, padding="same", dilation=3)
        self.table = nn.Parameter(torch.randn(20, 16, 5))

    def forward(self, image):
        up = self.up(image)
        return {
            "up": up,
            "grouped": self.grouped(up),
            "line": self.line(image[:, 0]),
            "larger": functional.interpolate(image, scale_factor=1.5),
            "half": functional.interpolate(image, scale_factor=0.5),
            "product": torch.einsum("bcij,jid->bcd", image, self.table),
            "largest": image.flatten(1).topk(5)[0],
            "ordered": image.sort(-1)[0],
        }

@dataclasses.dataclass
class Out:
    scores: torch.Tensor
    loss: object = None
    hidden: tuple = ()

class Nested(nn.Module):
    # outputs in containers, twice, handed through, and without an axis of samples
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.line = nn.Linear(4, 3)
        self.register_buffer("anchors", torch.arange(10.0).reshape(5, 2))

    def forward(self, x):
        y = self.line(x).relu()
        return {
            "boxes": [y, y * 2],
            "aux": {"none": None, "y": y},
            "x": x,
            "data": Out(y + 1, hidden=(y * 3,)),
            "anchors": self.anchors,
            "scale": self.anchors.sum(),
        }

class Values(nn.Module):
    def forward(self, x):
        return torch.linalg.svdvals(x)

class Spectrum(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(16))

    def forward(self, x):
        return torch.stft(x, 16, 4, window=self.window, return_complex=True).abs()

class Encoder(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.encoder = nn.ModuleDict({"layer": layer})

    def forward(self, x):
        return self.encoder["layer"](x * 2)

def Sorts():
    return Encoder(Values())

def Listens():
    return Encoder(Spectrum())
"""
IMAGES = {"image": {"shape": [3, 16, 20], "dtype": "float32", "layout": "NCHW"}}
TOKENS = {
    "tokens": {"shape": [6], "dtype": "int64", "layout": ""},
    "gain": {"shape": [1], "dtype": "float32", "layout": ""},
}


@dataclass(frozen=True)
class Held:
    """An artifact's folder and what it is."""

    folder: Path
    description: Description

    def run(self, **feeds: np.ndarray) -> list[np.ndarray]:
        found = format_named(self.description.format).runner(self.folder)(feeds)
        return [found[tensor.name] for tensor in self.description.signature.outputs]

    @property
    def content(self) -> bytes:
        return (self.folder / "model.tflite").read_bytes()


Make = Callable[..., Held]


def images(n: int) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (n, 3, 16, 20)).astype(np.float32)


def last(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def torch_sources(factory_of: pytest.TempPathFactory) -> Callable[[str, Any], Held]:
    """``made(factory, samples)``: a torch artifact."""

    def made(factory: str, samples: Any) -> Held:
        root, folder = (factory_of.mktemp(name) for name in ("root", "torch"))
        (root / "net.py").write_text(NET)
        torch_format = format_named("torch")
        torch_format.gather({"factory": f"net.py:{factory}"}, root, folder, samples)
        return Held(folder, torch_format.describe(folder))

    return made


def tflite_runner(factory_of: pytest.TempPathFactory) -> Make:
    """``run(step, parent, **arrays)``: what a worker does, prediction checked."""

    def run(step: Pass, parent: Held, **arrays: np.ndarray) -> Held:
        rough, out = (factory_of.mktemp(name) for name in ("rough", "out"))
        step.requires(parent.description)
        context = Context(rough, parent.description, arrays)
        loaded = format_named(parent.description.format).load(parent.folder)
        gives = format_named(step.gives)
        gives.save(step.run(loaded, context), out)
        found = gives.describe(out)
        assert found.differs(step.effect(parent.description)) == []
        return Held(out, found)

    return run
