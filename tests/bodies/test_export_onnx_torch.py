"""The export to ONNX: answers, names, the free batch, and errors in one line."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from passes_bench import Context
from torch import nn

from edgeopt.passes.export_onnx_torch import ExportOnnx
from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.schema.errors import PassError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.line = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.line(x), x.sum(1)


def described(batch: int | str = "batch") -> Description:
    signature = Signature(
        inputs=(Tensor(name="x", dtype="float32", shape=(batch, 4)),),
        outputs=(
            Tensor(name="scores", dtype="float32", shape=(batch, 3)),
            Tensor(name="total", dtype="float32", shape=(batch,)),
        ),
    )
    return Description(format="torch", signature=signature, facts=frozenset({"float32"}))


def exported(module: nn.Module, described: Description, **fields: Any) -> onnx.ModelProto:
    made = ExportOnnx(**fields).run(module.eval(), Context(Path(), described, {}))
    onnx.checker.check_model(made, full_check=True)
    assert isinstance(made, onnx.ModelProto)
    return made


def test_the_file_answers_as_the_module_for_any_batch() -> None:
    module, model = Net(), exported(Net(), described())
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for n in (1, 5):
        x = np.random.default_rng(n).normal(size=(n, 4)).astype(np.float32)
        found = session.run(["scores", "total"], {"x": x})
        with torch.no_grad():
            wanted = module(torch.from_numpy(x))
        for mine, theirs in zip(found, wanted, strict=True):
            np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-5, atol=1e-6)


def test_a_fixed_batch_stays_fixed() -> None:
    model = exported(Net(), described(batch=2))
    (first, *_) = model.graph.input[0].type.tensor_type.shape.dim
    assert first.dim_value == 2


def test_no_trace_of_where_it_was_made_is_left_and_equal_calls_give_equal_bytes() -> None:
    model = exported(Net(), described())
    text = model.SerializeToString()
    assert __file__.encode() not in text and b"site-packages" not in text
    assert exported(Net(), described()).SerializeToString() == text


def test_a_module_that_cannot_be_traced_is_told_in_one_line() -> None:
    class Branches(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(PassError, match=r"torch\.onnx\.export failed: ") as caught:
        exported(Branches(), described())
    assert "\n" not in caught.value.what and caught.value.hint


class Recurrent(nn.Module):
    def __init__(self, layer: type[nn.RNNBase], first: bool) -> None:
        super().__init__()
        self.layer, self.first = layer(4, 5, batch_first=first), first

    def forward(self, x: torch.Tensor) -> Any:
        steps = self.layer(x)[0]
        return steps[:, -1] if self.first else steps[-1]


def test_recurrent_networks_exported_one_after_the_other_each_keep_a_free_batch() -> None:
    """torch 2.13 pins axes of a recurrent layer that it traces again in one process."""
    for layer in (nn.LSTM, nn.GRU, nn.LSTM):
        for first in (True, False):
            taken = ("batch", 6, 4) if first else (6, "batch", 4)
            signature = Signature(
                inputs=(Tensor(name="x", dtype="float32", shape=taken),),
                outputs=(Tensor(name="y", dtype="float32", shape=("batch", 5)),),
            )
            wanted = Description(format="torch", signature=signature, facts=frozenset({"float32"}))
            module = Recurrent(layer, first)
            content = exported(deepcopy(module), wanted).SerializeToString()
            session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
            for n in (1, 3):
                x = torch.randn((n, 6, 4) if first else (6, n, 4))
                (found,) = session.run(None, {"x": x.numpy()})
                with torch.no_grad():
                    np.testing.assert_allclose(found, module(x).numpy(), rtol=1e-4, atol=1e-5)
