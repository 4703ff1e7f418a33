"""OpenVINO's session: names as in the file, float32 as the file says, and the graph that ran."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
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
    assert {each["seconds"] for each in executed} == {None}
    timed = session.executed(prepared)
    spent = {each["name"]: each["seconds"] for each in timed if each["op"] == "Convolution"}
    assert len(spent) == 2 and all(seconds > 0 for seconds in spent.values())
    after = {each["name"]: each["makers"] for each in timed}
    assert all(set(makers) <= set(after) for makers in after.values())


def test_what_is_not_there_or_not_sound_is_an_error(tmp_path: Path) -> None:
    from edgeopt.agent.sessions.openvino import Session, accelerators

    assert accelerators()["cpu"]
    (tmp_path / "model.onnx").write_bytes(b"no model")
    for accelerator, kind in (("none", "DeviceError"), ("cpu", "ModelError")):
        with pytest.raises(AgentError) as caught:
            Session(str(tmp_path), accelerator, 1)
        assert caught.value.kind == kind


SIGNAL_STACK = """
import ctypes, gc, sys
from edgeopt.agent.sessions.openvino import Session, accelerators

class Stack(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

accelerators()
kept = [Session(sys.argv[1], "cpu", 1) for _ in range(2)]
while kept:
    del kept[0]
    gc.collect()
found = Stack()
assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found)) == 0
with open("/proc/self/maps") as maps:
    areas = [[int(end, 16) for end in line.split()[0].split("-")] for line in maps]
start = found.start or 0
print(start == 0 or any(low <= start < high for low, high in areas))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_signals_keep_a_stack_in_memory_when_sessions_close(tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "model.onnx")
    command = [sys.executable, "-c", SIGNAL_STACK, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == "True\n"


def test_a_model_is_compiled_for_the_sizes_that_it_is_given(tmp_path: Path) -> None:
    from edgeopt.agent.sessions.openvino import Session

    onnx.save(network(), tmp_path / "model.onnx")
    free, x = Session(str(tmp_path), "cpu", 1), samples(4)
    (expected,) = free.arrays(free.call(free.prepare({"x": x})))
    for wanted, shape in (([4, 8, 12, 12], [4, 8, 12, 12]), ([None, 8, 12, 12], ["?", 8, 12, 12])):
        fixed = Session(str(tmp_path), "cpu", 1, fixed={"x": wanted})
        assert [each["shape"] for each in fixed.inputs] == [shape]
        (found,) = fixed.arrays(fixed.call(fixed.prepare({"x": x})))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_model_that_does_not_do_with_the_sizes_stays_free(tmp_path: Path) -> None:
    """Its Reshape holds the batch: it cannot be reshaped to any other one."""
    from edgeopt.agent.sessions.openvino import Session

    info, kind = helper.make_tensor_value_info, TensorProto.FLOAT
    shape = helper.make_tensor("s", TensorProto.INT64, [2], [2, 6])
    nodes = [helper.make_node("Reshape", ["x", "s"], ["r"]), helper.make_node("Relu", ["r"], ["y"])]
    ends = [info("x", kind, ["batch", 6]), info("y", kind, [2, 6])]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], [shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")
    (told,) = Session(str(tmp_path), "cpu", 1, fixed={"x": [3, 6]}).inputs
    assert told["shape"] == ["?", 6]


def test_activations_are_quantized_as_it_runs_unless_that_is_off(tmp_path: Path) -> None:
    from edgeopt.agent.sessions.openvino import Session

    onnx.save(network(), tmp_path / "model.onnx")
    sessions = [
        Session(str(tmp_path), "cpu", 1),
        Session(str(tmp_path), "cpu", 1, dynamic_quant="0"),
    ]
    groups = [s._compiled.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE") for s in sessions]
    assert groups[0] > 0 and groups[1] == 0


def test_bfloat16_is_computed_in_or_refused_by_name(tmp_path: Path) -> None:
    """OpenVINO takes the hint on any CPU, and computes in float32 where it has no bfloat16."""
    from edgeopt.agent.sessions.openvino import Session

    onnx.save(network(), tmp_path / "model.onnx")
    has = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if has:
        session = Session(str(tmp_path), "cpu", 1, precision="bf16")
        taken = session._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        assert taken == "bf16"
        return
    with pytest.raises(AgentError) as failed:
        Session(str(tmp_path), "cpu", 1, precision="bf16")
    assert failed.value.where == "precision" and "f32" in failed.value.what
