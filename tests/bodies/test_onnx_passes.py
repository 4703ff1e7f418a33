"""Every ONNX pass on every kind of file: sound, as predicted, close to its parent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from passes_bench import RunPass, close_enough, network, samples

from edgeopt.passes.fp16_onnx import Fp16
from edgeopt.passes.quantize_int8_onnx import QuantizeInt8
from edgeopt.passes.simplify_onnx import SimplifyOnnx
from edgeopt.schema.errors import PassError
from edgeopt.schemes import SCHEMES
from edgeopt.step import Pass

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "opset 11, IR 3, initializers as inputs": {"opset": 11, "ir": 3, "inputs_too": True},
    "weights as constants": {"constants": True},
    "batch fixed to one": {"batch": 1},
    "batch fixed to four": {"batch": 4},
    "grouped convolution": {"groups": 2},
}
PASSES: list[tuple[Pass, float]] = [
    (SimplifyOnnx(), 100.0),
    (Fp16(), 50.0),
    *((QuantizeInt8(scheme=scheme), 15.0) for scheme in SCHEMES),
]


@pytest.mark.parametrize(("step", "sqnr_db"), PASSES, ids=lambda v: getattr(v, "label", ""))
@pytest.mark.parametrize("kind", KINDS)
def test_a_pass_keeps_the_border_and_comes_close_to_its_parent(
    run_pass: RunPass, step: Pass, sqnr_db: float, kind: str
) -> None:
    source = network(**KINDS[kind])
    made = run_pass(step, source, x=samples())
    identity = run_pass(SimplifyOnnx(), source)
    batch = KINDS[kind].get("batch", 6)
    feeds = {"x": samples(batch)}
    (got,), (before,) = made.run(feeds), identity.run(feeds)
    assert got.dtype == np.float32 and got.shape == (batch, 5)
    assert close_enough(before, got, sqnr_db)
    assert [i.name for i in made.model.graph.input] == ["x"]
    assert [o.name for o in made.model.graph.output] == ["y"]
    assert made.model.doc_string == "" and not made.model.producer_version


@pytest.mark.parametrize("step", [step for step, _ in PASSES], ids=lambda step: step.label)
def test_equal_inputs_give_equal_bytes(run_pass: RunPass, step: Pass) -> None:
    first, again = (run_pass(step, network(), x=samples()) for _ in range(2))
    assert first.path.read_bytes() == again.path.read_bytes()


@pytest.mark.parametrize("step", [step for step, _ in PASSES], ids=lambda step: step.label)
def test_a_quantized_model_is_refused_with_the_reason(run_pass: RunPass, step: Pass) -> None:
    made = run_pass(QuantizeInt8(scheme="u8s8"), network(), x=samples())
    with pytest.raises(PassError, match="quantized"):
        step.requires(made.description)
