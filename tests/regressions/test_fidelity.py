"""Fidelity sees damage that an average over outputs or values hides.

Without labels an artifact is accepted by how near its answers are to the source's. Each artifact
in ``fixtures/`` was once accepted that way although it had lost what its users need; see
``fixtures/make.py`` for how they were made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nearness import Outputs, accepted, drawn, quantized

import edgeopt
from edgeopt.evaluation import compute, figures
from edgeopt.schema.errors import EdgeoptError

FIXTURES = Path(__file__).parent / "fixtures"


def answers(name: str, samples: str) -> Outputs:
    """What a fixture answers to its samples, in the runtime that its form is for."""
    x = np.load(FIXTURES / f"{samples}.npz")["x"]
    if name.endswith(".onnx"):
        import onnxruntime

        session = onnxruntime.InferenceSession(str(FIXTURES / name))
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(None, {"x": x}), strict=True))
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(FIXTURES / name))
    interpreter.allocate_tensors()
    (into,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for row in x:
        interpreter.set_tensor(into["index"], row[np.newaxis])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(out["index"]).copy())
    return {"value": np.concatenate(rows)}


def test_rows_that_stand_still_beside_large_ones_are_refused() -> None:
    """One step of a scale for coordinates up to 640 is more than a score of 0 to 1 can be."""
    source, damaged = answers("rows.onnx", "rows"), answers("rows_int8.onnx", "rows")
    assert not damaged["detections"][:, 4:].any()
    assert not accepted(damaged, source)
    with pytest.raises(EdgeoptError, match=r"'detections'.*channel 4 of axis 1.*stands still"):
        figures(["fidelity.cosine"], damaged, source)


@pytest.mark.extras
def test_one_value_a_sample_is_held_to_how_it_varies() -> None:
    """Prices from 9,000 to 34,000, wrong by more than half of that range, are all positive."""
    source, damaged = answers("price.tflite", "price"), answers("price_int8.tflite", "price")
    apart = np.abs(source["value"] - damaged["value"]).max()
    assert apart > 0.5 * np.ptp(source["value"])
    assert not accepted(damaged, source)


@pytest.mark.extras
def test_the_same_network_with_ranges_of_all_samples_is_accepted(tmp_path: Path) -> None:
    """The bound refuses the damage and not INT8: calibrated by extremes the prices hold."""
    from tflite_networks import answers as ran
    from tflite_networks import applied

    from edgeopt.passes.quantize_int8_tflite import QuantizeInt8

    x = np.load(FIXTURES / "price.npz")["x"]
    content = (FIXTURES / "price.tflite").read_bytes()
    made = applied(QuantizeInt8(scheme="static"), content, tmp_path, x)
    assert accepted({"value": ran(made, x)}, {"value": ran(content, x)})


def test_one_score_a_sample_is_held_to_the_decisions_it_makes() -> None:
    """A score that flips a third of all decisions differs by less than one step of its scale."""
    source, damaged = answers("score.onnx", "score"), answers("score_int8.onnx", "score")
    flipped = float(((source["score"] > 0.5) != (damaged["score"] > 0.5)).mean())
    assert flipped > 0.3
    assert not accepted(damaged, source)
    agreement = compute("fidelity.agreement", damaged, None, source)
    assert agreement.value == pytest.approx(1 - flipped)


def test_a_small_head_is_held_to_its_own_values() -> None:
    """One of two heads with its sign turned, the other a hundred times as strong."""
    source, damaged = answers("heads.onnx", "heads"), answers("heads_negated.onnx", "heads")
    assert not accepted(damaged, source)
    found = compute("fidelity.cosine", damaged, None, source)
    assert found.value < -0.5
    assert "scores" in found.where


def test_compare_refuses_a_negated_head(tmp_path: Path) -> None:
    """The same through ``edgeopt compare``, whose exit code a pipeline goes by."""
    found = edgeopt.compare(
        FIXTURES / "heads.onnx",
        FIXTURES / "heads_negated.onnx",
        data=FIXTURES / "heads.npz",
        targets=["local/onnxruntime"],
        require=["fidelity.cosine >= 0.99"],
        quick=True,
        store=tmp_path,
    )
    assert found.exit_code == 3


def test_the_worst_output_and_group_are_named() -> None:
    """A figure that is the worst of several says of which output and group it is."""
    rng = np.random.default_rng(0)
    source = {"a": rng.normal(size=(64, 8)), "b": rng.normal(size=(64, 6, 5))}
    source["b"][:, 2] *= 1000
    wrong = {name: array.copy() for name, array in source.items()}
    wrong["b"][:, 2] += 300 * rng.normal(size=(64, 5))
    for quantity in ("fidelity.cosine", "fidelity.sqnr"):
        found = compute(quantity, wrong, None, source)
        assert "'b'" in found.where, quantity
        assert "channel 2 of axis 1" in found.where, quantity
    assert compute("fidelity.sqnr@a", wrong, None, source).value == 200.0


def test_two_classes_of_a_hundred_in_each_others_place_are_seen() -> None:
    """A sum over a hundred channels hides two that are others altogether."""
    source = {"scores": np.random.default_rng(0).normal(size=(256, 100))}
    swapped = {"scores": source["scores"].copy()}
    swapped["scores"][:, [3, 7]] = source["scores"][:, [7, 3]]
    assert not accepted(swapped, source)
    assert "channel" in compute("fidelity.cosine", swapped, None, source).where


@pytest.mark.parametrize("damage", ["scaled", "shifted", "clipped", "noisy", "halved"])
def test_damage_that_keeps_the_sign_is_refused(damage: str) -> None:
    """A cosine would accept what is scaled; the bound is on the error itself."""
    rng = np.random.default_rng(0)
    source = {"a": rng.normal(size=(256, 8)), "b": rng.normal(size=(256, 1)) + 5}
    b = source["b"]
    made = {
        "scaled": 2 * (b - 5) + 5,
        "shifted": b + 0.5,
        "clipped": np.clip(b, 4.3, 5.7),
        "noisy": b + 0.5 * rng.normal(size=b.shape),
        "halved": b / 2,
    }[damage]
    assert not accepted({"a": source["a"], "b": made}, source)


def test_channels_that_are_dead_but_for_rounding_are_no_groups() -> None:
    """A trained encoder has channels of 1e-33 beside others of 0.1: an artifact may make them 0."""
    source = {"embedding": np.random.default_rng(0).normal(0, 0.05, size=(200, 384))}
    source["embedding"][:, [7, 127]] *= 1e-31
    made = {"embedding": source["embedding"].astype(np.float16).astype(np.float64)}
    assert not made["embedding"][:, 127].any()
    assert accepted(made, source)


def damaged(kind: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(source, damaged copy) of an output."""
    rows = np.arange(400)
    if kind == "scores on an axis in the middle":
        source = np.random.default_rng(0).random((64, 3, 8, 5, 5))
        source *= np.array([640] * 4 + [1] * 4)[:, None, None]
        return source, np.round(source / 2.5) * 2.5
    if kind == "values behind a mask of a finite number":
        masked = drawn(400, 9, seed=1) > 0.5
        values = drawn(400, 9)
        return np.where(masked, -1e9, values), np.where(masked, -1e9, -values)
    if kind == "values behind infinities":
        masked, values = drawn(400, 9, seed=1) > 0.5, 8 + 0.2 * drawn(400, 9)
        return np.where(masked, -np.inf, values), np.where(masked, -np.inf, 8.0)
    if kind == "differences below what all share":
        common, apart = 12 * drawn(400, 1), drawn(400, 10, seed=1)
        return common + apart, np.round((common + apart) / 3) * 3
    if kind == "a channel that hardly moves":
        source = drawn(400, 12)
        return source, source * np.array([0.02 if i == 3 else 1 for i in range(12)])
    if kind == "a rare event":
        source = drawn(400, 30)
        source[:, 7] = np.where(rows % 40 == 0, 8.0, -4 + 0.01 * source[:, 7])
        copy = source.copy()
        copy[:, 7] = np.minimum(copy[:, 7], -3.9)
        return source, copy
    if kind == "names of classes":
        source = np.random.default_rng(0).integers(0, 20, (400, 1))
        return source, source + 1
    source = 0.1 * drawn(400, 1)
    source[rows % 50 == 0] *= 2000
    return source, np.where(np.abs(source) < 1, -source, source)


@pytest.mark.parametrize(
    "kind",
    ["scores on an axis in the middle", "values behind a mask of a finite number",
     "values behind infinities", "differences below what all share", "a channel that hardly moves",
     "a rare event", "names of classes", "most samples beside few large ones"],
)  # fmt: skip
def test_damage_that_the_rest_outweighs_is_refused(kind: str) -> None:
    """Whatever the error of an output is measured against must not be what hides it."""
    source, copy = damaged(kind)
    assert not accepted({"o": copy}, {"o": source})


@pytest.mark.parametrize("kind", ["softmax", "rare classes", "masked", "sigmoids", "heavy", "dead"])
def test_honest_int8_is_accepted(kind: str) -> None:
    """What 255 steps over the range of an output do to it is no damage."""
    logits = 3 * drawn(500, 20)
    made = {
        "softmax": np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
        "rare classes": np.exp(2 * logits - np.arange(20))
        / np.exp(2 * logits - np.arange(20)).sum(axis=1, keepdims=True),
        "masked": np.where(drawn(500, 20, seed=1) > 0.5, -1e9, logits),
        "sigmoids": 1 / (1 + np.exp(-logits)),
        "heavy": np.sinh(drawn(500, 20)),
        "dead": logits * (np.arange(20) != 4),
    }[kind]
    assert accepted({"o": quantized(made)}, {"o": made})
