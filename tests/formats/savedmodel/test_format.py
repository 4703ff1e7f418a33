"""SavedModels: signatures, and graphs that reach outside of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeopt.agent.tf_network import tf
from edgeopt.formats import format_named
from edgeopt.schema.errors import ModelError

pytestmark = pytest.mark.extras
FORMAT = format_named("savedmodel")
FLOATS = tf.TensorSpec([None, 4], tf.float32, name="x")


def saved(folder: Path, call: Any, *taken: Any, **more: Any) -> Path:
    module = tf.Module()
    module.held = tf.Variable(np.arange(8, dtype=np.float32).reshape(4, 2), name="held")
    module.call = tf.function(lambda *given: call(module.held, *given), input_signature=taken)
    signatures = {"serving_default": module.call, **{k: module.call for k in more}}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


def gathered(path: Path, **spec: Any) -> Path:
    into = path.parent / "into"
    into.mkdir()
    FORMAT.gather({"path": path.name, **spec}, path.parent, into, {})
    return into


def test_a_folder_runs_by_its_signature(tmp_path: Path) -> None:
    path = saved(tmp_path / "net", lambda held, x: {"y": x @ held, "a": x + 1}, FLOATS)
    folder = gathered(path)
    signature = FORMAT.describe(folder).signature
    assert [(t.name, t.shape) for t in signature.inputs] == [("x", ("batch", 4))]
    assert [t.name for t in signature.outputs] == ["a", "y"]  # a signature has no order
    x = np.ones((3, 4), np.float32)
    found = FORMAT.runner(folder)({"x": x})
    np.testing.assert_allclose(found["y"], x @ np.arange(8).reshape(4, 2))


def test_the_file_in_the_folder_names_it_as_well(tmp_path: Path) -> None:
    path = saved(tmp_path / "net", lambda held, x: {"y": x @ held}, FLOATS)
    into = tmp_path / "into"
    into.mkdir()
    FORMAT.gather({"path": "net/saved_model.pb"}, path.parent, into, {})
    assert (into / "variables" / "variables.index").is_file()


def test_of_several_signatures_one_must_be_named(tmp_path: Path) -> None:
    module = tf.Module()
    module.one = tf.function(lambda x: {"y": x + 1}, input_signature=[FLOATS])
    module.two = tf.function(lambda x: {"z": x * 2}, input_signature=[FLOATS])
    path = tmp_path / "net"
    tf.saved_model.save(module, str(path), signatures={"one": module.one, "two": module.two})
    with pytest.raises(ModelError, match="several signatures: one, two") as caught:
        gathered(path)
    assert "model.signature" in str(caught.value.hint)
    (tmp_path / "into").rmdir()
    folder = gathered(path, signature="two")
    assert [t.name for t in FORMAT.describe(folder).signature.outputs] == ["z"]
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ModelError, match="no signature 'three'; it has: one, two"):
        FORMAT.gather({"path": "net", "signature": "three"}, tmp_path, other, {})


def reads_a_file(held: Any, x: Any) -> Any:
    text = tf.io.read_file("/etc/hostname", name="peek")
    return {"y": x @ held + tf.cast(tf.strings.length(text), tf.float32)}


def writes_a_file(held: Any, x: Any) -> Any:
    with tf.control_dependencies([tf.io.write_file("/tmp/nobody-writes-this", "x", name="leave")]):
        return {"y": x @ held}


def prints(held: Any, x: Any) -> Any:
    with tf.control_dependencies([tf.raw_ops.PrintV2(input="x", name="say")]):
        return {"y": x @ held}


@pytest.mark.parametrize(
    ("call", "operator"),
    [(reads_a_file, "ReadFile"), (writes_a_file, "WriteFile"), (prints, "PrintV2")],
)
def test_a_graph_that_reaches_outside_is_refused_by_its_operator(
    tmp_path: Path, call: Any, operator: str
) -> None:
    path = saved(tmp_path / "net", call, FLOATS)
    with pytest.raises(ModelError, match=f"is a {operator}"):
        gathered(path)
    assert not Path("/tmp/nobody-writes-this").exists()


def test_a_text_input_is_refused_by_its_name(tmp_path: Path) -> None:
    words = tf.TensorSpec([None], tf.string, name="words")
    path = saved(tmp_path / "net", lambda held, w: {"n": tf.strings.length(w)}, words)
    with pytest.raises(ModelError, match="input 'words' is text"):
        gathered(path)


def test_a_cut_off_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "net", lambda held, x: {"y": x @ held}, FLOATS)
    file = path / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError) as caught:
        gathered(path)
    assert str(file) in str(caught.value.where)


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    with pytest.raises(ModelError, match=r"holds no saved_model\.pb"):
        FORMAT.sources({"path": "net"}, tmp_path)
    with pytest.raises(ModelError, match="no such model"):
        FORMAT.sources({"path": "absent"}, tmp_path)
