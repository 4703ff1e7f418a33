"""Each request of an agent, on a real network: what it answers, and what it refuses."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from passes_bench import network, samples

from edgeopt.agent import protocol
from edgeopt.agent.serve import TIMED_MAX, Agent, Feed

Ask = Callable[..., tuple[dict[str, Any], protocol.Arrays]]
N = 5


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(str(tmp_path))


@pytest.fixture
def ask(agent: Agent) -> Ask:
    """``ask(do, ...)``: the fields of an answer, or its error, and its arrays."""

    def asked(do: str, **fields: Any) -> tuple[dict[str, Any], protocol.Arrays]:
        frame = agent.answer({"do": do, **fields}, {})
        header, arrays = protocol.unpack(io.BytesIO(frame).read)
        ((kind, found),) = header.items()
        assert kind in ("ok", "error")
        return found, arrays

    return asked


def put(root: Path, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    (root / digest).write_bytes(data)
    return digest


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.fixture
def opened(ask: Ask, tmp_path: Path) -> Path:
    """Session ``s`` on feed ``f``; the folder that it was loaded from."""
    ask("runtime", name="onnxruntime", threads=1)
    ask("feed", feed="f", blobs={"x": put(tmp_path, npy(samples(N)))}, take=3, batch=2)
    files = {"model.onnx": put(tmp_path, network().SerializeToString())}
    told, _ = ask("open", session="s", files=files, runtime="onnxruntime", accelerator="cpu")
    assert told["load_ns"] > 0 and told["outputs"] == ["y"]
    assert told["inputs"] == [{"name": "x", "dtype": "float32", "shape": ["batch", 8, 12, 12]}]
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    return folder


def test_samples_are_answered_in_batches_and_what_is_padded_is_cut(ask: Ask, opened: Path) -> None:
    asked = {"session": "s", "feed": "f", "start": 1, "stop": 5}
    whole = ask("run", **asked, batch=4, pad=False)[1]["y"]
    for batch, pad in ((3, False), (3, True), (8, True), (1, False)):
        found = ask("run", **asked, batch=batch, pad=pad)[1]["y"]
        assert found.shape == (4, 5)
        np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-6)


def test_a_session_walks_on_through_its_feed(ask: Ask, opened: Path, agent: Agent) -> None:
    told, arrays = ask("time", turns=[["s", "f", 3], ["s", "f", 2]])
    assert arrays["ns"].shape == (5,) and set(told) == {"load"}
    assert agent._open["s"].position == 5 % 2, "of the two batches of its feed"


def test_every_node_is_placed_and_memory_is_read(ask: Ask, opened: Path) -> None:
    nodes, _ = ask("placement", session="s", feed="f")
    assert set(nodes["nodes"]) == {"CPUExecutionProvider"}
    memory, _ = ask("memory", reset=False)
    assert memory["rss_bytes"] > 0 and memory["reset"] is False
    assert memory["accelerator_bytes"] == 0
    assert ask("accelerators", runtime="onnxruntime")[0]["found"]["cpu"] == "CPUExecutionProvider"


def test_a_session_is_closed_with_its_files(ask: Ask, opened: Path, agent: Agent) -> None:
    assert opened.exists()
    ask("close", session="s")
    assert not opened.exists()
    error, _ = ask("close", session="s")
    assert (error["what"], error["where"]) == ("no such session is open", "s")


def test_leaving_removes_what_is_open(opened: Path, agent: Agent) -> None:
    agent.leave()
    assert not opened.exists()


@pytest.mark.parametrize(
    ("do", "fields", "kind", "said"),
    [
        ("dance", {}, "DeviceError", "KeyError"),
        ("open", {"runtime": "torch"}, "DeviceError", "this runtime was not loaded"),
        ("open", {"runtime": "onnxruntime", "files": {"model.onnx": "0" * 64}}, "DeviceError",
         "file was never put on the device"),
        ("open", {"runtime": "onnxruntime", "files": {"../model.onnx": "0" * 64}}, "DeviceError",
         "file would be outside its folder"),
        ("run", {"session": "s", "feed": "none"}, "DeviceError", "no such feed"),
        ("run", {"session": "none", "feed": "f"}, "DeviceError", "no such session is open"),
        ("run", {"session": "s", "feed": "f"}, "ModelError", "KeyError"),
        ("time", {"turns": [["s", "f", TIMED_MAX + 1]]}, "DeviceError", "too many inferences"),
        ("feed", {"feed": "g", "blobs": {}, "take": 1, "batch": 1}, "DeviceError", "no arrays"),
        ("runtime", {"name": "none", "threads": 1}, "DeviceError", "'none'"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_an_error_and_the_agent_goes_on(
    ask: Ask, opened: Path, tmp_path: Path, do: str, fields: dict[str, Any], kind: str, said: str
) -> None:
    before = {path for path in tmp_path.iterdir() if path.is_dir()}
    error, _ = ask(do, **({"session": "t", "accelerator": "cpu"} | fields))
    assert error["type"] == kind and said in error["what"]
    assert {path for path in tmp_path.iterdir() if path.is_dir()} == before, "no folder stays"
    assert ask("state")[0].keys() == {"temperature_c", "frequency_mhz"}


def test_a_model_that_does_not_load_is_the_models_fault(
    ask: Ask, opened: Path, tmp_path: Path
) -> None:
    files = {"model.onnx": put(tmp_path, b"no model")}
    error, _ = ask("open", session="t", files=files, runtime="onnxruntime", accelerator="cpu")
    assert error["type"] == "ModelError" and "cannot load the model" in error["what"]


def test_timed_batches_are_whole_and_wrap_at_the_end() -> None:
    feed = Feed({"x": np.arange(10)})
    feed.cycle(take=5, batch=2)
    assert [batch["x"].tolist() for batch in feed.batches] == [[0, 1], [2, 3], [4, 0]]
    assert feed.batch(7, 2, 4)["x"].tolist() == [7, 8, 8, 8]
    few = Feed({"x": np.arange(3)})
    few.cycle(take=64, batch=4)
    assert [batch["x"].tolist() for batch in few.batches] == [[0, 1, 2, 0]]
