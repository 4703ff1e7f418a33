"""Every pass on TFLite: close to its parent, smaller, and only once."""

from __future__ import annotations

import numpy as np
import pytest
from passes_bench import close_enough
from tflite_bench import Held, Make, images, last

from edgeopt.passes.fp16_tflite import Fp16
from edgeopt.passes.quantize_int8_tflite import QuantizeInt8
from edgeopt.schema.errors import PassError
from edgeopt.step import Pass

pytestmark = pytest.mark.extras


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
    exported: Held, run_tflite: Make, step: Pass, sqnr_db: float
) -> None:
    made = run_tflite(step, exported, image=last(images(32)))
    assert made.description.signature == exported.description.signature
    before, after = [], []
    for x in images(8):
        before += exported.run(image=last(x[np.newaxis]))
        after += made.run(image=last(x[np.newaxis]))
    assert close_enough(np.concatenate(before), np.concatenate(after), sqnr_db)
    assert run_tflite(step, exported, image=last(images(32))).content == made.content


@pytest.mark.parametrize("step", [QuantizeInt8(scheme="dynamic"), Fp16()], ids=lambda s: s.name)
def test_what_is_quantized_or_cast_already_is_refused(
    exported: Held, run_tflite: Make, step: Pass
) -> None:
    with pytest.raises(PassError, match=r"quantized|float32"):
        run_tflite(step, run_tflite(QuantizeInt8(scheme="dynamic"), exported))
    with pytest.raises(PassError, match="float16"):
        run_tflite(step, run_tflite(Fp16(), exported))
