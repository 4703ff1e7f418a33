"""INT8 of ONNX files: types, scales, what stays in float, and what is refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from passes_bench import MODEL, RunPass, network, samples

from edgeopt.bodies.quantize_int8_onnx import stem
from edgeopt.formats.onnx.describe import quantized_weights
from edgeopt.passes.quantize_int8_onnx import QuantizeInt8
from edgeopt.schema.errors import DataError, PassError
from edgeopt.schemes import SCHEMES


@pytest.mark.parametrize("scheme", SCHEMES)
def test_weights_and_activations_have_the_types_of_the_scheme(
    run_pass: RunPass, scheme: str
) -> None:
    made = run_pass(QuantizeInt8(scheme=scheme), network(), x=samples())
    held = {t.name: numpy_helper.to_array(t) for t in made.model.graph.initializer}
    weights = [held[c] for c in held if held[c].ndim == 4 and held[c].dtype != np.float32]
    assert len(weights) == 2 and {str(w.dtype) for w in weights} == {SCHEMES[scheme].weight}
    largest = max(int(np.abs(w.astype(int)).max()) for w in weights)
    assert largest <= 64 if SCHEMES[scheme].reduce_range else largest >= 126
    zero_points = {
        str(held[node.input[2]].dtype)
        for node in made.model.graph.node
        if node.op_type == "QuantizeLinear"
    }
    assert SCHEMES[scheme].activation in zero_points


@pytest.mark.parametrize("per_channel", [True, False])
def test_scales_are_per_channel_where_asked(run_pass: RunPass, per_channel: bool) -> None:
    step = QuantizeInt8(scheme="u8s8", per_channel=per_channel)
    made = run_pass(step, network(), x=samples())
    held = {t.name: numpy_helper.to_array(t) for t in made.model.graph.initializer}
    scales = [
        held[node.input[1]]
        for node in made.model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in held
        and held[node.input[0]].ndim == 4
    ]  # fmt: skip
    assert {s.size for s in scales} == ({16} if per_channel else {1})


def test_only_short_first_convolutions_stay_in_float(run_pass: RunPass) -> None:
    def quantized(float_stem: bool) -> int:
        step = QuantizeInt8(scheme="u8s8", float_stem=float_stem)
        arrays = {"image": np.zeros((4, 1, 28, 28), np.float32)}
        return len(quantized_weights(run_pass(step, onnx.load(MODEL), **arrays).model))

    assert quantized(False) == quantized(True) + 1
    assert stem(network()) == []


def test_data_that_does_not_fit_is_named(run_pass: RunPass) -> None:
    step = QuantizeInt8(scheme="u8s8")
    with pytest.raises(DataError, match="no calibration data for the model's input 'x'"):
        run_pass(step, network(), other=samples())
    with pytest.raises(DataError, match="too few calibration samples"):
        run_pass(step, network(batch=4), x=samples(3))


def test_a_model_without_weights_has_nothing_to_quantize(run_pass: RunPass) -> None:
    model = network()
    del model.graph.node[:]
    model.graph.node.append(onnx.helper.make_node("GlobalAveragePool", ["x"], ["p"]))
    model.graph.node.append(onnx.helper.make_node("Flatten", ["p"], ["y"]))
    del model.graph.initializer[:]
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 8
    with pytest.raises(PassError, match="no operator with weights"):
        run_pass(QuantizeInt8(scheme="u8s8"), model, x=samples())
