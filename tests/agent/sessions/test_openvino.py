"""OpenVINO's session: names as in the file, float32 as the file says, and the graph that ran."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from passes_bench import network, samples

from edgeopt.agent.errors import AgentError

openvino = pytest.importorskip("openvino")
pytestmark = pytest.mark.extras


def test_a_model_answers_under_the_files_names_and_says_what_ran(tmp_path: Path) -> None:
    from edgeopt.agent.sessions.openvino import Session

    onnx.save(network(), tmp_path / "model.onnx")
    session = Session(str(tmp_path), "cpu", 1)
    assert session.outputs == ["y"] and session.device == ""
    assert session.inputs == [{"name": "x", "dtype": "float32", "shape": ["?", 8, 12, 12]}]
    prepared = session.prepare({"x": samples(3)})
    (found,) = session.arrays(session.call(prepared))
    assert found.shape == (3, 5)
    executed = session.executed()
    weighted = [each for each in executed if each["op"] in ("Convolution", "FullyConnected")]
    assert len(weighted) == 3 and {each["inputs"][0][0] for each in weighted} == {"f32"}
    work = [each for each in executed if each["op"] not in ("Const", "Input", "Output")]
    assert session.placement(prepared) == {"CPU": len(work)}


def test_what_is_not_there_or_not_sound_is_an_error(tmp_path: Path) -> None:
    from edgeopt.agent.sessions.openvino import Session, accelerators

    assert accelerators()["cpu"]
    (tmp_path / "model.onnx").write_bytes(b"no model")
    for accelerator, kind in (("none", "DeviceError"), ("cpu", "ModelError")):
        with pytest.raises(AgentError) as caught:
            Session(str(tmp_path), accelerator, 1)
        assert caught.value.kind == kind
