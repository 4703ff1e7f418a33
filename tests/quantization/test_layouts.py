"""Networks that are hard to quantize: each runs in integers where it can, as modules say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from qat_parts import Quantized, observed, run_onnx, run_tflite, to_onnx, to_tflite
from torch import nn
from torch.nn import functional

from edgeopt.agent import fakequant
from edgeopt.quantization.training import quantization_trained, stems
from edgeopt.schema.artifact import Tensor
from edgeopt.schema.errors import PassError

pytestmark = pytest.mark.extras
IMAGE = {"x": {"shape": ["batch", 3, 12, 12], "dtype": "float32"}}


def unit(narrow: int, wide: int, size: int, stride: int, groups: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(narrow, wide, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(wide),
        nn.ReLU6(inplace=True),
    )


class Mobile(nn.Module):
    """Depthwise convolutions, ReLU6 in place, an adaptive pool, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.deep = unit(3, 8, 3, 2, 1), unit(8, 8, 3, 1, 8)
        self.point = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))
        self.last, self.pool = unit(8, 16, 3, 2, 8), nn.AdaptiveAvgPool2d(1)
        self.drop, self.head = nn.Dropout(0.2), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.last(x + self.point(self.deep(x)))
        return self.head(self.drop(torch.flatten(self.pool(x), 1)))


class Padded(nn.Module):
    """A shortcut that leaves out pixels and pads channels (option A of arXiv:1512.03385)."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, 1, 1), nn.Conv2d(8, 16, 3, 2, 1, bias=False)
        self.norm, self.c, self.head = (
            nn.BatchNorm2d(16),
            nn.Conv2d(16, 16, 3, 1, 1),
            nn.Linear(16, 5),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.a(x))
        y = self.c(functional.relu(self.norm(self.b(x))))
        short = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4))
        return self.head(functional.relu(short + y).mean((2, 3)))


class Joined(nn.Module):
    """Concatenation of what has been cut at zero and what has not, max pool, flatten, a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, 1, 1), nn.Conv2d(3, 8, 1)
        self.c, self.head = nn.Conv2d(16, 8, 3, padding="same"), nn.Linear(8 * 36, 5)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = torch.cat([functional.relu(self.a(x)), self.b(x)], 1)
        y = functional.max_pool2d(functional.relu(self.c(y)), 2)
        return {"output": self.head(y.flatten(1))}


class Encoder(nn.Module):
    """Attention, layer norm and GELU stay float; the linear layers do not."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(6, 16), nn.Linear(16, 16)
        self.q, self.k, self.v = (nn.Linear(16, 16) for _ in range(3))
        self.norm, self.up, self.down = nn.LayerNorm(16), nn.Linear(16, 32), nn.Linear(32, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.into(x)
        q, k, v = (
            layer(x).reshape(-1, 7, 4, 4).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v)
        x = self.norm(x + self.out(mixed.transpose(1, 2).reshape(-1, 7, 16)))
        return self.head((x + self.down(functional.gelu(self.up(x)))).mean(1))


class Branches(nn.Module):
    """What torch.export cannot follow."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        if y.sum() > 0:
            y = y + 1
        return y.mean((2, 3))


def made(kind: type[nn.Module], scheme: str) -> Quantized:
    torch.manual_seed(0)
    module = kind()
    samples = torch.randn(64, *((7, 6) if kind is Encoder else (3, 12, 12)))
    with torch.no_grad():
        for _ in range(5):
            module(x=samples)  # statistics of batch norms
    return observed(module.eval(), "x", samples.numpy(), scheme, outputs=5)


@pytest.mark.long
@pytest.mark.parametrize(
    "kind, integer",
    [
        (Mobile, {"QLinearConv": 4, "QLinearAdd": 1, "QGemm": 1}),
        (Padded, {"QLinearConv": 3, "QLinearAdd": 1, "QGemm": 1}),
        (Joined, {"QLinearConv": 3, "QLinearConcat": 1, "QGemm": 1}),
        (Encoder, {"MatMulIntegerToFloat": 7, "QGemm": 1}),
    ],
)
def test_onnx_runtime_answers_as_the_module(
    kind: type[nn.Module], integer: dict[str, int], tmp_path: Path
) -> None:
    found = made(kind, "u8s8-reduced")
    answers, ran = run_onnx(to_onnx(found, tmp_path / "onnx"), found.samples)
    assert found.steps_apart(answers) < 1.01
    assert {name: ran[name] for name in integer} == integer


@pytest.mark.long
@pytest.mark.parametrize("kind", [Mobile, Padded, Joined])
def test_litert_answers_as_the_module(kind: type[nn.Module], tmp_path: Path) -> None:
    found = made(kind, "int8")
    answers = run_tflite(to_tflite(found, tmp_path / "tflite"), found.samples)
    assert found.steps_apart(answers) < 1.01


class Embedding(nn.Module):
    """A mean that is an output and what the head reads."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = functional.relu(self.a(x)).mean((2, 3))
        return {"output": self.head(y), "embedding": y}


@pytest.mark.long
def test_litert_reads_codes_of_what_is_an_output_too(tmp_path: Path) -> None:
    found = made(Embedding, "int8")
    outputs = (
        *found.description.signature.outputs,
        Tensor(name="embedding", dtype="float32", shape=("batch", 8)),
    )
    signature = found.description.signature.model_copy(update={"outputs": outputs})
    found.description = found.description.model_copy(update={"signature": signature})
    content = to_tflite(found, tmp_path / "tflite")
    run = Interpreter(model_content=content, num_threads=1).get_signature_runner()
    images = np.ascontiguousarray(found.samples.transpose(0, 2, 3, 1))
    answers = [run(x=image[None]) for image in images]
    assert found.steps_apart(np.concatenate([a["output"] for a in answers])) < 1.01
    with torch.inference_mode():
        embedding = found.frozen(x=torch.from_numpy(found.samples))["embedding"].numpy()
    assert np.abs(np.concatenate([a["embedding"] for a in answers]) - embedding).max() < 0.05


@pytest.mark.long
def test_a_cut_that_litert_has_not_is_refused(tmp_path: Path) -> None:
    class Cut(Embedding):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.a(x).clamp(0, 4).mean((2, 3)))

    with pytest.raises(PassError, match="made MINIMUM of the layer 'a'") as raised:
        to_tflite(made(Cut, "int8"), tmp_path / "tflite")
    assert "ReLU6" in raised.value.hint


@pytest.mark.long
def test_several_ranges_in_one_concatenation_are_refused_for_litert(tmp_path: Path) -> None:
    with pytest.raises(PassError, match="CONCATENATION joins tensors of several ranges"):
        to_tflite(made(Joined, "u8s8"), tmp_path / "tflite")


def test_a_module_that_cannot_be_traced_is_refused_with_its_line() -> None:
    with pytest.raises(PassError, match="torch cannot trace the module") as raised:
        trained(Branches())
    assert raised.value.where.startswith("test_layouts.py:")
    assert raised.value.where.endswith("in forward")


def test_a_module_without_layers_is_refused() -> None:
    with pytest.raises(PassError, match="no operator with weights could be quantized"):
        trained(nn.Sequential())


def test_stems_are_first_convolutions_with_short_sums() -> None:
    layout = fakequant.laid_out(Mobile(), IMAGE, (), joined=False)
    assert stems(layout) == ("stem.0",)
    assert stems(fakequant.laid_out(Padded(), IMAGE, (), joined=False)) == ("a",)


def trained(module: Any) -> Any:
    if isinstance(module, nn.Sequential):

        class Plain(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x * 2

        module = Plain()
    return quantization_trained(
        module, IMAGE, scheme="u8s8", float_stem=False, learned=False, momentum=0.01,
        observed=[{"x": torch.from_numpy(np.ones((2, 3, 12, 12), np.float32))}],
        train=lambda made: None,
    )  # fmt: skip
