"""TFLite files as they run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from written_tflite import TFLITE, gathered, written

from edgeopt.agent.sessions.litert import Session


def test_a_model_runs_as_its_arithmetic_says(tmp_path: Path) -> None:
    folder = gathered(written(tmp_path / "m.tflite"), tmp_path / "held")
    x = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)
    found = TFLITE.runner(folder)({"features": x})
    np.testing.assert_allclose(found["scores"], x @ np.arange(12.0).reshape(3, 4).T)
    told = TFLITE.inspect(folder)
    assert (told.parameters, told.macs, told.operators) == (12, 12, {"FULLY_CONNECTED": 1})


def test_a_free_batch_takes_any_number_of_samples(tmp_path: Path) -> None:
    folder = gathered(written(tmp_path / "m.tflite", free=True), tmp_path / "held")
    found = TFLITE.describe(folder)
    assert found.signature.inputs[0].shape == ("batch", 4) and "static-batch" not in found.facts
    session = Session(str(folder), "cpu", 1)
    for n in (1, 5, 2):
        x = np.ones((n, 4), np.float32)
        (scores,) = session.call(session.prepare({"features": x}))
        assert scores.shape == (n, 3)
