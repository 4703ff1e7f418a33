"""The export to TFLite: answers, names, layouts, and no trace of where it was made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tflite_bench import IMAGES, TOKENS, Held, Make, images, last

from edgeopt.formats.tflite import files
from edgeopt.formats.tflite.inspect import inspect
from edgeopt.passes.export_onnx_torch import ExportOnnx
from edgeopt.passes.export_tflite_torch import ExportTflite
from edgeopt.schema.errors import PassError

pytestmark = pytest.mark.extras


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
    torch_net: Held, exported: Held, run_tflite: Make
) -> None:
    assert run_tflite(ExportTflite(), torch_net).content == exported.content
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


def test_inputs_and_outputs_keep_names_and_order_and_lose_64_bits(
    torch_source: Any, run_tflite: Make
) -> None:
    parent = torch_source("Two", TOKENS)
    made = run_tflite(ExportTflite(batch=2), parent)
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


def test_layers_that_the_converter_refuses_or_gets_wrong_are_exported_in_another_form(
    torch_source: Any, run_tflite: Make
) -> None:
    parent = torch_source("Refused", IMAGES)
    made = run_tflite(ExportTflite(), parent)
    x = images(1)
    want, got = parent.run(image=x), made.run(image=last(x))
    assert len(want) == 8
    for a, b in zip(want, got, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


NESTED = {"x": {"shape": [4], "dtype": "float32", "layout": ""}}
NAMES = ["boxes_0", "boxes_1", "aux_y", "x_output", "data_scores", "data_hidden_0", "anchors",
         "scale"]  # fmt: skip


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_outputs_keep_their_names_whatever_they_lie_in(
    torch_source: Any, run_tflite: Make, kind: str
) -> None:
    parent = torch_source("Nested", NESTED)
    made = run_tflite(ExportTflite() if kind == "tflite" else ExportOnnx(), parent)
    for held in (parent, made):
        assert [t.name for t in held.description.signature.outputs] == NAMES
        assert dict(held.description.signature.whole) == {"anchors": (5, 2), "scale": ()}
    x = np.random.default_rng(0).normal(size=(1, 4)).astype(np.float32)
    for a, b in zip(parent.run(x=x), made.run(x=x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("factory", "shape", "operator"),
    [("Sorts", [4, 4], "linalg_svdvals"), ("Listens", [64], "stft")],
)
def test_a_layer_without_a_tflite_form_is_named_with_its_operator(
    torch_source: Any, run_tflite: Make, factory: str, shape: list[int], operator: str
) -> None:
    samples = {"x": {"shape": shape, "dtype": "float32", "layout": ""}}
    with pytest.raises(PassError, match=rf"at 'encoder\.layer' \(aten\.{operator}\): ") as caught:
        run_tflite(ExportTflite(), torch_source(factory, samples))
    assert "write it differently" in caught.value.hint
    assert len(caught.value.what) < 200 and "\n" not in caught.value.what
