from __future__ import annotations

import numpy as np
import pytest
from passes_bench import close_enough
from tflite_bench import Held, Make, images, last

from edgeopt.formats.tflite.inspect import inspect
from edgeopt.passes.fp16_tflite import Fp16
from edgeopt.schema.errors import PassError

pytestmark = pytest.mark.extras


def test_weights_are_stored_in_half_and_the_border_stays(exported: Held, run_tflite: Make) -> None:
    made = run_tflite(Fp16(), exported)
    assert made.description.signature == exported.description.signature
    assert "float16" in made.description.facts
    found = inspect(made.folder / "model.tflite")
    assert found.parameters == inspect(exported.folder / "model.tflite").parameters
    x = last(images(1))
    (want,), (got,) = exported.run(image=x), made.run(image=x)
    assert close_enough(want, got, 50.0) and not np.array_equal(want, got)


def test_a_file_is_halved_only_once(exported: Held, run_tflite: Make) -> None:
    with pytest.raises(PassError, match="float16"):
        run_tflite(Fp16(), run_tflite(Fp16(), exported))
