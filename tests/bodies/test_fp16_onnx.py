from __future__ import annotations

import numpy as np
import onnx
import pytest
from half_graphs import CANCELS, OVERFLOWS, SHARP, TINY, X
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers.float16 import convert_float_to_float16
from passes_bench import RunPass, network, samples

from edgeopt.passes.fp16_onnx import Fp16
from edgeopt.passes.quantize_int8_onnx import QuantizeInt8
from edgeopt.quantization.half_onnx import join_casts
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


@pytest.mark.parametrize("model", [OVERFLOWS, SHARP, CANCELS, TINY])
def test_answers_are_those_of_float32_where_the_bare_converter_loses_them(
    model: onnx.ModelProto, run_pass: RunPass
) -> None:
    def ran(made: onnx.ModelProto) -> np.ndarray:
        session = onnx.reference.ReferenceEvaluator(made)
        return np.asarray(session.run(None, {"x": X})[0], np.float32)

    right = ran(model)
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    converted = ONNXModel(convert_float_to_float16(bare, keep_io_types=True))
    converted.topological_sort()
    plain = ran(converted.model)
    made = run_pass(Fp16(), model, x=X)
    most = 0.01 * np.linalg.norm(right)
    assert np.linalg.norm(ran(made.model) - right) < most
    with np.errstate(invalid="ignore"):
        assert not np.linalg.norm(plain - right) < most
    assert "keeps in float32" in made.found["notes"][0]
    assert "float16" in made.description.facts


def test_a_network_that_float16_does_not_harm_is_converted_whole(run_pass: RunPass) -> None:
    assert not run_pass(Fp16(), network(), x=samples()).found.get("notes")


@pytest.mark.parametrize("n", [0, 3, 40])
def test_a_fixed_batch_is_filled_or_done_without(n: int, run_pass: RunPass) -> None:
    given = {"x": samples(n)} if n else {}
    made = run_pass(Fp16(), network(batch=32), **given)
    assert "float16" in made.description.facts and not made.found.get("notes")


def test_a_cast_that_only_a_body_reads_stays() -> None:
    given = network()
    info = onnx.helper.make_tensor_value_info
    body = [
        onnx.helper.make_graph(
            [onnx.helper.make_node("Identity", ["wide"], [name])], name, [],
            [info(name, TensorProto.FLOAT, None)],
        )
        for name in ("then", "other")
    ]  # fmt: skip
    given.graph.node.extend([
        onnx.helper.make_node("Cast", ["c1"], ["wide"], to=TensorProto.FLOAT),
        onnx.helper.make_node("If", ["q"], ["z"], then_branch=body[0], else_branch=body[1]),
    ])  # fmt: skip
    join_casts(given)
    assert "Cast" in {node.op_type for node in given.graph.node}
