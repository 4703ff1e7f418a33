"""LiteRT's interpreter as a session."""

from __future__ import annotations

from pathlib import Path

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
