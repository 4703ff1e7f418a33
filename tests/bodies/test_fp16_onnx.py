from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from passes_bench import RunPass, network

from edgeopt.passes.fp16_onnx import Fp16
from edgeopt.passes.quantize_int8_onnx import QuantizeInt8
from edgeopt.schema.errors import PassError


def test_weights_are_halved_and_the_border_stays_float32(run_pass: RunPass) -> None:
    made = run_pass(Fp16(), network())
    held = [numpy_helper.to_array(tensor) for tensor in made.model.graph.initializer]
    assert {str(each.dtype) for each in held if each.ndim > 1} == {"float16"}
    border = [*made.model.graph.input, *made.model.graph.output]
    assert {each.type.tensor_type.elem_type for each in border} == {TensorProto.FLOAT}
    whole = {tensor.name: numpy_helper.to_array(tensor) for tensor in network().graph.initializer}
    halves = [each for each in held if each.shape == whole["w2"].shape]
    assert np.array_equal(halves[0], whole["w2"].astype(np.float16))


def test_it_foretells_what_it_makes(run_pass: RunPass) -> None:
    facts = run_pass(Fp16(), network()).description.facts
    assert "float16" in facts and "float32" not in facts


def test_a_float16_model_is_refused_with_the_reason(run_pass: RunPass) -> None:
    made = run_pass(Fp16(), network())
    for step in (Fp16(), QuantizeInt8(scheme="u8s8")):
        with pytest.raises(PassError, match="float16"):
            step.requires(made.description)


def test_an_input_that_is_handed_through_stays_an_output(run_pass: RunPass) -> None:
    given = network()
    value = onnx.helper.make_tensor_value_info("id", TensorProto.FLOAT, ["batch", 4])
    given.graph.input.append(value)
    given.graph.output.insert(0, value)
    made = run_pass(Fp16(), given)
    assert [v.name for v in made.model.graph.output] == [v.name for v in given.graph.output]
    assert "float16" in made.description.facts
