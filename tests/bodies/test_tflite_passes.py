"""Every pass to and on TFLite: sound, as predicted, close to its parent, free of traces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from passes_bench import Context, close_enough

from edgeopt.data.quantized import dequantized, quantized
from edgeopt.formats import format_named
from edgeopt.formats.tflite import files
from edgeopt.formats.tflite.inspect import inspect
from edgeopt.passes.export_tflite_torch import ExportTflite
from edgeopt.passes.fp16_tflite import Fp16
from edgeopt.passes.quantize_int8_tflite import QuantizeInt8
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import DataError, PassError
from edgeopt.schema.target import TargetFacts
from edgeopt.schemes import LITERT
from edgeopt.step import Pass

pytestmark = pytest.mark.extras

NET = """
import torch
from torch import nn

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

class Sorts(nn.Module):
    def forward(self, x):
        return torch.linalg.svdvals(x)
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


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Any], Held]:
    """``source(factory, samples)``: a torch artifact."""

    def made(factory: str, samples: Any) -> Held:
        root, folder = (tmp_path_factory.mktemp(name) for name in ("root", "torch"))
        (root / "net.py").write_text(NET)
        torch_format = format_named("torch")
        torch_format.gather({"factory": f"net.py:{factory}"}, root, folder, samples)
        return Held(folder, torch_format.describe(folder))

    return made


@pytest.fixture(scope="module")
def apply(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """``apply(step, parent, **arrays)``: what a worker does, prediction checked."""

    def run(step: Pass, parent: Held, **arrays: np.ndarray) -> Held:
        rough, out = (tmp_path_factory.mktemp(name) for name in ("rough", "out"))
        step.requires(parent.description)
        context = Context(rough, parent.description, arrays)
        loaded = format_named(parent.description.format).load(parent.folder)
        tflite = format_named("tflite")
        tflite.save(step.run(loaded, context), out)
        found = tflite.describe(out)
        assert found.differs(step.effect(parent.description)) == []
        return Held(out, found)

    return run


@pytest.fixture(scope="module")
def torch_net(source: Any) -> Held:
    return source("Net", IMAGES)


@pytest.fixture(scope="module")
def exported(torch_net: Held, apply: Make) -> Held:
    return apply(ExportTflite(), torch_net)


def images(n: int) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (n, 3, 16, 20)).astype(np.float32)


def last(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def test_the_export_takes_channels_last_and_answers_as_its_parent(
    torch_net: Held, exported: Held
) -> None:
    (tensor,) = exported.description.signature.inputs
    assert (tensor.name, tensor.shape, tensor.layout) == ("image", (1, 16, 20, 3), "NHWC")
    assert [t.name for t in exported.description.signature.outputs] == ["output"]
    x = images(1)
    (want,), (got,) = torch_net.run(image=x), exported.run(image=last(x))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_the_export_leaves_no_trace_of_where_it_was_made(
    torch_net: Held, exported: Held, apply: Make
) -> None:
    assert apply(ExportTflite(), torch_net).content == exported.content
    names = [
        files.text(t.name)
        for t in files.read(exported.folder / "model.tflite").subgraphs[0].tensors
    ]
    assert len(set(names)) == len(names)
    assert not [name for name in names if "edgeopt" in name or "net." in name]


def test_parameters_and_macs_are_those_of_the_layers(exported: Held) -> None:
    found = inspect(exported.folder / "model.tflite")
    pixels = 8 * 10
    assert found.macs == pixels * 16 * 27 + pixels * 16 * 9 + 16 * 5
    assert found.parameters == 16 * 27 + 16 + 16 * 9 + 16 + 16 * 5 + 5  # batch norm is folded
    assert found.operators["CONV_2D"] == 1 and not found.quantization


def test_inputs_and_outputs_keep_names_and_order_and_lose_64_bits(source: Any, apply: Make) -> None:
    parent = source("Two", TOKENS)
    made = apply(ExportTflite(batch=2), parent)
    tokens = np.arange(12).reshape(2, 6)
    gain = np.array([[0.5], [2.0]], np.float32)
    names = [[t.name for t in d.signature.outputs] for d in (parent.description, made.description)]
    assert names == [["second", "first"]] * 2
    kinds = {t.name: t.dtype for t in made.description.signature.inputs}
    assert kinds == {"tokens": "int32", "gain": "float32"}
    want = parent.run(tokens=tokens, gain=gain)
    got = made.run(tokens=tokens.astype(np.int32), gain=gain)
    for a, b in zip(want, got, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_an_operator_without_a_tflite_form_is_named(source: Any, apply: Make) -> None:
    samples = {"x": {"shape": [4, 4], "dtype": "float32", "layout": ""}}
    with pytest.raises(PassError, match="svd") as caught:
        apply(ExportTflite(), source("Sorts", samples))
    assert "TFLite form" in caught.value.hint


@pytest.mark.parametrize(
    ("step", "sqnr_db"),
    [
        (QuantizeInt8(scheme="static"), 15.0),
        (QuantizeInt8(scheme="dynamic"), 20.0),
        (QuantizeInt8(scheme="weight-only"), 20.0),
        (QuantizeInt8(scheme="static", per_channel=False), 10.0),
        (Fp16(), 50.0),
    ],
    ids=lambda value: getattr(value, "label", ""),
)
def test_a_pass_comes_close_to_its_parent_and_is_smaller(
    exported: Held, apply: Make, step: Pass, sqnr_db: float
) -> None:
    made = apply(step, exported, image=last(images(32)))
    assert made.description.signature == exported.description.signature
    before, after = [], []
    for x in images(8):
        before += exported.run(image=last(x[np.newaxis]))
        after += made.run(image=last(x[np.newaxis]))
    assert close_enough(np.concatenate(before), np.concatenate(after), sqnr_db)
    assert apply(step, exported, image=last(images(32))).content == made.content


def test_int8_inputs_and_outputs_are_codes_of_real_values(exported: Held, apply: Make) -> None:
    made = apply(QuantizeInt8(scheme="static-int8-io"), exported, image=last(images(32)))
    (taken,), (given,) = made.description.signature.inputs, made.description.signature.outputs
    assert taken.dtype == given.dtype == "int8"
    assert taken.scale and given.scale and "int8-io" in made.description.facts
    x = last(images(1))
    (codes,), (want,) = made.run(image=quantized(x, taken)), exported.run(image=x)
    assert close_enough(want, dequantized(codes, given), 12.0)


def test_quantization_is_reported_as_the_file_has_it(exported: Held, apply: Make) -> None:
    forms = {}
    for scheme in ("static", "dynamic", "weight-only"):
        made = apply(QuantizeInt8(scheme=scheme), exported, image=last(images(8)))
        forms[scheme] = inspect(made.folder / "model.tflite").quantization
    assert {scheme: told["form"] for scheme, told in forms.items()} == {s: s for s in forms}
    assert all(told["weights"] == ["int8"] and told["per_channel"] for told in forms.values())
    assert forms["static"]["activations"] == ["int8"] and not forms["dynamic"]["activations"]


def test_auto_stands_for_the_schemes_worth_trying(exported: Held) -> None:
    facts = TargetFacts(target="local/litert", isa="x86_64-avx2")
    variants = QuantizeInt8().variants(exported.description, facts)
    assert tuple(variant.scheme for variant in variants) == LITERT
    assert QuantizeInt8(scheme="dynamic").variants(exported.description, facts) == (
        QuantizeInt8(scheme="dynamic"),
    )


@pytest.mark.parametrize("step", [QuantizeInt8(scheme="dynamic"), Fp16()], ids=lambda s: s.name)
def test_what_is_quantized_or_cast_already_is_refused(
    exported: Held, apply: Make, step: Pass
) -> None:
    with pytest.raises(PassError, match=r"quantized|float32"):
        apply(step, apply(QuantizeInt8(scheme="dynamic"), exported))
    with pytest.raises(PassError, match="float16"):
        apply(step, apply(Fp16(), exported))


def test_too_few_samples_are_told(exported: Held, apply: Make) -> None:
    with pytest.raises(DataError, match="too few calibration samples"):
        apply(QuantizeInt8(scheme="static"), exported, image=last(images(1))[:0])
