"""LiteRT's compiled models: what the CPU may have done is never called an accelerator's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeopt.agent.errors import AgentError

pytestmark = pytest.mark.extras


def test_a_model_that_compiles_with_the_cpu_alone_says_so(tflite_model: Path) -> None:
    from edgeopt.agent.litert_accelerated import Compiled
    from edgeopt.agent.sessions.litert import Interpreted

    plain = Interpreted(str(tflite_model), 1)
    made = Compiled(str(tflite_model), "npu", plain)
    x = np.ones((1, 4), np.float32)
    prepared = made.prepare({"x": x})
    assert made.placement(prepared) == {"NPU or CPU": 1}
    (found,) = made.arrays(made.call(prepared))
    np.testing.assert_allclose(found, x @ np.arange(12.0).reshape(3, 4).T, rtol=1e-5)


def test_an_accelerator_that_it_has_not_is_refused(tflite_model: Path) -> None:
    from edgeopt.agent.litert_accelerated import Compiled
    from edgeopt.agent.sessions.litert import Interpreted

    with pytest.raises(AgentError, match="no accelerator 'tpu'") as caught:
        Compiled(str(tflite_model), "tpu", Interpreted(str(tflite_model), 1))
    assert caught.value.kind == "DeviceError"
