"""What a task is of: settings that its sides share, and files that go there once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeopt.bench.task import Task
from edgeopt.devices.local import LocalDevice
from edgeopt.schema.errors import StoreError
from edgeopt.store import Store

MakeTask = Callable[..., Task]
SAMPLES = np.arange(12, dtype=np.float32).reshape(6, 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "given.onnx"
    path.write_bytes(b"weights")
    return path


def test_a_task_says_what_its_sides_share(task_of: MakeTask, file: Path) -> None:
    sides = dict.fromkeys("ab", "local/onnxruntime?threads=3&batch=2")
    task = task_of(sides, file, "x", SAMPLES)
    assert (task.device, task.threads, task.batch, task.n) == ("local", 3, 2, 6)
    assert not task.allow_fallback


def test_equal_samples_have_one_name_in_the_agent(task_of: MakeTask, file: Path) -> None:
    task = task_of(dict.fromkeys("ab", "local/onnxruntime"), file, "x", SAMPLES)
    other = task_of({"a": "local/onnxruntime"}, file, "x", SAMPLES + 1)
    assert task.sides["a"].feed == task.sides["b"].feed != other.sides["a"].feed


def test_model_and_samples_are_brought_to_the_device(
    task_of: MakeTask, file: Path, store: Store, tmp_path: Path
) -> None:
    task = task_of(dict.fromkeys("ab", "local/onnxruntime"), file, "x", SAMPLES)
    side = task.sides["a"]
    with LocalDevice().lease(tmp_path, exclusive=False) as lease:
        task.put(lease, store)
        (folder,) = tmp_path.glob("device-*")
        blobs = {side.artifact.files["model.onnx"], side.samples.arrays["x"].blob}
        assert {path.name for path in folder.iterdir()} == blobs
        np.testing.assert_array_equal(np.load(folder / side.samples.arrays["x"].blob), SAMPLES)


def test_a_blob_that_the_store_lost_is_named(
    task_of: MakeTask, file: Path, store: Store, tmp_path: Path
) -> None:
    task = task_of({"a": "local/onnxruntime"}, file, "x", SAMPLES)
    (digest,) = task.sides["a"].artifact.files.values()
    store.path(digest).unlink()
    with (
        LocalDevice().lease(tmp_path, exclusive=False) as lease,
        pytest.raises(StoreError, match=f"blob {digest} is missing"),
    ):
        task.put(lease, store)


def test_a_session_is_made_for_the_batch_and_the_sizes_of_the_data(
    task_of: MakeTask, file: Path
) -> None:
    side = task_of({"a": "local/onnxruntime?batch=3"}, file, "x", SAMPLES).sides["a"]
    assert side.sizes(one_size=True) == {"x": [3, 2]}
    assert side.sizes(one_size=False) == {"x": [3, None]}
    torch = task_of({"a": "local/torch?batch=3"}, file, "x", SAMPLES).sides["a"]
    assert torch.sizes(one_size=True) == {}, "its sessions take any"
