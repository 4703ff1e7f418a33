"""LiteRT's interpreter as a session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from written_tflite import gathered, written

from edgeopt.agent.sessions.litert import Session, placed


def test_every_operator_is_placed_once(tmp_path: Path) -> None:
    folder = gathered(written(tmp_path / "m.tflite"), tmp_path / "held")
    assert Session(str(folder), "cpu", 1).placement([]) == {"XNNPACK": 1}
    plain = [
        {"op_name": "A", "inputs": [0], "outputs": [1]},
        {"op_name": "B", "inputs": [1], "outputs": [2]},
        {"op_name": "C", "inputs": [2], "outputs": [3]},
    ]
    assert placed(plain) == {"built-in kernels": 3}
    delegate = {"op_name": "DELEGATE", "inputs": [1], "outputs": [2]}
    assert placed([*plain, delegate]) == {"XNNPACK": 1, "built-in kernels": 2}


def test_inputs_are_resized_once_to_the_sizes_that_they_are_given(tmp_path: Path) -> None:
    folder = str(gathered(written(tmp_path / "m.tflite", free=True), tmp_path / "held"))
    free, x = Session(folder, "cpu", 1), np.ones((5, 4), np.float32)
    (name,) = (each["name"] for each in free.inputs)
    assert free.inputs[0]["shape"] == ["?", 4]
    expected = free.call(free.prepare({name: x}))
    fixed = Session(folder, "cpu", 1, fixed={name: [5, 4]})
    assert fixed.inputs[0]["shape"] == [5, 4]
    for found, wanted in zip(fixed.call(fixed.prepare({name: x})), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert Session(folder, "cpu", 1, fixed={name: [None, 4]}).inputs[0]["shape"] == ["?", 4]


def test_a_fixed_size_of_the_file_stays(tmp_path: Path) -> None:
    folder = str(gathered(written(tmp_path / "m.tflite", batch=2), tmp_path / "held"))
    session = Session(folder, "cpu", 1, fixed={"features": [5, 4]})
    assert session.inputs[0]["shape"] == [2, 4]


@pytest.mark.extras
@pytest.mark.parametrize("form", [{"free": True}, {"batch": 2}, {"signature": False, "batch": 2}])
def test_a_compiled_model_answers_as_the_interpreter_does(
    tmp_path: Path, form: dict[str, Any]
) -> None:
    folder = str(gathered(written(tmp_path / "m.tflite", **form), tmp_path / "held"))
    plain, x = Session(folder, "cpu", 1), np.arange(8, dtype=np.float32).reshape(2, 4)
    (name,) = (each["name"] for each in plain.inputs)
    expected = plain.call(plain.prepare({name: x}))
    for fixed in (None, {name: [2, 4]}):
        made = Session(folder, "cpu", 1, fixed=fixed, api="compiled")
        assert made.outputs == plain.outputs
        (found,) = made.arrays(made.call(made.prepare({name: x})))
        np.testing.assert_allclose(found, expected[0], rtol=1e-6)
        assert made.placement([]) == {"XNNPACK": 1}
