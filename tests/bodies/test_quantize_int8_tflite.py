"""INT8 of TFLite files: what is quantized, how it is told, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from passes_bench import close_enough
from tflite_bench import Held, Make, images, last
from tflite_loop import looped

from edgeopt.data.quantized import dequantized, quantized
from edgeopt.formats import format_named
from edgeopt.formats.tflite.inspect import inspect
from edgeopt.passes.quantize_int8_tflite import QuantizeInt8
from edgeopt.schema.errors import DataError, PassError
from edgeopt.schema.target import TargetFacts
from edgeopt.schemes import LITERT

pytestmark = pytest.mark.extras


def test_int8_inputs_and_outputs_are_codes_of_real_values(exported: Held, run_tflite: Make) -> None:
    made = run_tflite(QuantizeInt8(scheme="static-int8-io"), exported, image=last(images(32)))
    (taken,), (given,) = made.description.signature.inputs, made.description.signature.outputs
    assert taken.dtype == given.dtype == "int8"
    assert taken.scale and given.scale and "int8-io" in made.description.facts
    x = last(images(1))
    (codes,), (want,) = made.run(image=quantized(x, taken)), exported.run(image=x)
    assert close_enough(want, dequantized(codes, given), 12.0)


def test_quantization_is_reported_as_the_file_has_it(exported: Held, run_tflite: Make) -> None:
    forms = {}
    for scheme in ("static", "dynamic", "weight-only"):
        made = run_tflite(QuantizeInt8(scheme=scheme), exported, image=last(images(8)))
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


def test_too_few_samples_are_told(exported: Held, run_tflite: Make) -> None:
    with pytest.raises(DataError, match="too few calibration samples"):
        run_tflite(QuantizeInt8(scheme="static"), exported, image=last(images(1))[:0])


def test_loops_cannot_be_calibrated_and_the_schemes_that_need_no_ranges_are_named(
    run_tflite: Make, tmp_path: Path
) -> None:
    (tmp_path / "model.tflite").write_bytes(looped())
    loop = Held(tmp_path, format_named("tflite").describe(tmp_path))
    x = np.random.default_rng(1).normal(size=(8, 8)).astype(np.float32)
    for scheme in ("static", "static-int8-io"):
        with pytest.raises(PassError, match=f"'scheme: {scheme}' cannot calibrate.*WHILE") as told:
            run_tflite(QuantizeInt8(scheme=scheme), loop, x=x)
        assert "'scheme: dynamic'" in told.value.hint
    made = run_tflite(QuantizeInt8(scheme="dynamic"), loop, x=x)
    (want,), (given,) = loop.run(x=x[:1]), made.run(x=x[:1])
    assert close_enough(want, given, 30.0)
