"""Labels are held against the output that they speak of, and no figure is made of another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgeopt
from edgeopt.schema.errors import EdgeoptError
from edgeopt.schema.result import Result

Array = np.ndarray[Any, Any]
N = 120


def network(folder: Path, heads: dict[str, Array]) -> Path:
    """``x`` (batch, k) times a matrix for each output, in the order given."""
    k = len(next(iter(heads.values())))
    made = helper.make_graph(
        [helper.make_node("MatMul", ["x", f"w_{name}"], [name]) for name in heads],
        "heads",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", k])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", w.shape[1]])
            for name, w in heads.items()
        ],
        [numpy_helper.from_array(w.astype(np.float32), f"w_{n}") for n, w in heads.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = folder / "heads.onnx"
    onnx.save(model, path)
    return path


def archive(folder: Path, **arrays: Array) -> Path:
    """All arrays as the validation split."""
    path = folder / "samples.npz"
    np.savez(path, **{f"validation.{name}": array for name, array in arrays.items()})
    return path


def scored(model: Path, data: Path, folder: Path, **fields: Any) -> Result:
    """A run with the source as its only candidate, in ONNX Runtime."""
    label = fields.pop("label", None)
    return edgeopt.optimize(
        {"path": str(model)},
        data={"source": str(data), "label": label, "inputs": fields.pop("inputs", {"x": "x"}),
              "splits": {"validation": "validation"}},
        targets=["local/onnxruntime"],
        passes=["simplify-onnx"],
        race=False,
        store=folder / "store",
        **fields,
    )  # fmt: skip


def inputs() -> Array:
    return np.random.default_rng(0).normal(size=(N, 12)).astype(np.float32)


def weights(width: int, seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=(12, width)).astype(np.float32)


def test_classes_are_held_against_the_output_with_as_many_scores(tmp_path: Path) -> None:
    """An embedding stands before the scores: labels of six classes are not its first six values."""
    x, scores = inputs(), weights(6, 1)
    model = network(tmp_path, {"embedding": weights(16, 2), "scores": scores})
    data = archive(tmp_path, x=x, label=(x @ scores).argmax(axis=1))
    found = scored(model, data, tmp_path, label="label").target()
    assert found.source["accuracy"].value == 1.0
    assert "scores" in found.source["accuracy"].where


def test_values_go_to_the_output_of_their_name(tmp_path: Path) -> None:
    """Two outputs of one shape: labels called ``days`` are days, not the price before them."""
    x, days = inputs(), weights(1, 3)
    model = network(tmp_path, {"price": 1000 * weights(1, 4), "days": days})
    data = archive(tmp_path, x=x, days=x @ days + 0.5)
    found = scored(model, data, tmp_path, label="days", constraints=["mae <= 1"]).target()
    assert found.source["mae"].value == pytest.approx(0.5, abs=1e-4)
    assert found.verdict == "chosen"


def test_labels_that_fit_several_outputs_are_asked_about(tmp_path: Path) -> None:
    """No output is guessed: the error names those that fit and how to say which is meant."""
    x = inputs()
    model = network(tmp_path, {"fine": weights(6, 1), "coarse": weights(6, 2)})
    data = archive(tmp_path, x=x, label=np.arange(N) % 6)
    with pytest.raises(EdgeoptError, match=r"'fine' and 'coarse'") as raised:
        scored(model, data, tmp_path, label="label")
    assert "data.label: {fine: label}" in raised.value.hint


def test_each_output_has_labels_of_its_own(tmp_path: Path) -> None:
    """Bounds name an output, or hold for every one that has the quantity, the worst judged."""
    x, fine, coarse = inputs(), weights(6, 1), weights(3, 2)
    right = (x @ coarse).argmax(axis=1)
    half = np.where(np.arange(N) % 2, right, (right + 1) % 3)
    model = network(tmp_path, {"fine": fine, "coarse": coarse})
    data = archive(tmp_path, x=x, y=(x @ fine).argmax(axis=1), z=half)
    label = {"fine": "y", "coarse": "z"}
    bounds = ["accuracy@fine >= 90%", "accuracy@coarse <= source + 1pt"]
    with pytest.raises(EdgeoptError, match="wrong side"):
        scored(model, data, tmp_path, label=label, constraints=bounds)
    bounds = ["accuracy@fine >= 90%", "fidelity.cosine@coarse >= 0.99", "accuracy >= source - 5pt"]
    found = scored(model, data, tmp_path, label=label, constraints=bounds).target()
    assert found.verdict == "chosen"
    assert found.source["accuracy@fine"].value == 1.0
    assert found.source["accuracy@coarse"].value == pytest.approx(0.5)
    refused = scored(model, data, tmp_path, label=label, constraints=["accuracy >= 90%"])
    assert refused.exit_code == 3
    assert "accuracy@coarse" in refused.target().sentence


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(np.arange(N * 6).reshape(N, 2, 3) % 2, id="masks"),
        pytest.param(np.arange(N * 10.0).reshape(N, 2, 5), id="boxes"),
        pytest.param(np.uint8(np.arange(N * 6).reshape(N, 6) % 2), id="multi-label"),
        pytest.param(np.arange(N * 6).reshape(N, 6) % 2 == 0, id="booleans"),
        pytest.param(np.arange(N) - 1, id="ignored"),
    ],
)
def test_labels_of_any_form_reach_a_metric_of_the_recipes_own(
    tmp_path: Path, labels: Array
) -> None:
    """Masks, boxes and several labels a sample: edgeopt has no metric for them, the user has."""
    (tmp_path / "own.py").write_text(
        "def seen(outputs, labels):\n"
        f"    assert labels.shape[1:] == {labels.shape[1:]} and labels.dtype == '{labels.dtype}'\n"
        "    return float(labels.astype('float64').mean())\n"
    )
    model = network(tmp_path, {"scores": weights(6, 1)})
    data = archive(tmp_path, x=inputs(), label=labels)
    own = {"name": "seen", "function": str(tmp_path / "own.py:seen")}
    found = scored(
        model, data, tmp_path, label="label", metrics=[own],
        constraints=["metric.seen >= source"],
    )  # fmt: skip
    assert found.exit_code == 0
    assert found.target().source["metric.seen"].value == pytest.approx(labels.mean())


def test_what_cannot_be_judged_is_said_before_anything_is_built(tmp_path: Path) -> None:
    """A bound on accuracy with masks for labels ends the run before the first pass."""
    events: list[Any] = []
    model = network(tmp_path, {"scores": weights(6, 1)})
    data = archive(tmp_path, x=inputs(), label=np.arange(N * 6).reshape(N, 6) % 2)
    with pytest.raises(EdgeoptError, match=r"accuracy.*'label'.*int64\[120, 6\]"):
        scored(
            model, data, tmp_path, label="label", constraints=["accuracy >= source - 1pt"],
            on_event=events.append,
        )  # fmt: skip
    assert not [e for e in events if e.what == "started" and e.job.startswith("simplify")]
