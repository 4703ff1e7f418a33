from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeopt.decide.verdict import judge
from edgeopt.evaluation import compute, difference, ratio
from edgeopt.metrics.classification import hits
from edgeopt.schema.constraint import parse_constraint
from edgeopt.schema.errors import DataError, ModelError, UsageError
from edgeopt.stats.proportions import paired_difference, wilson

Array = np.ndarray[Any, Any]


def outputs_of(guesses: list[int] | Array, classes: int) -> dict[str, Array]:
    return {"logits": np.eye(classes, dtype=np.float32)[np.asarray(guesses)]}


def macro_f1(labels: Array, guesses: Array) -> float:
    """The definition, class by class."""
    found = []
    for c in set(labels.tolist()) | set(guesses.tolist()):
        right = int(((labels == c) & (guesses == c)).sum())
        found.append(2 * right / (int((labels == c).sum()) + int((guesses == c).sum())))
    return float(np.mean(found))


@st.composite
def scored(draw: st.DrawFn) -> tuple[Array, Array]:
    n, classes = draw(st.integers(1, 30)), draw(st.integers(2, 8))
    scores = draw(hnp.arrays(np.float32, (n, classes), elements=st.sampled_from([0.0, 0.5, 1.0])))
    labels = draw(hnp.arrays(np.uint8, n, elements=st.integers(0, classes - 1)))
    return scores, labels


@given(scored())
def test_figures_are_those_of_their_definitions(case: tuple[Array, Array]) -> None:
    scores, labels = case
    guesses = scores.argmax(axis=1)
    accuracy = compute("accuracy", {"o": scores}, labels)
    good = int((guesses == labels).sum())
    assert accuracy.value == good / len(labels)
    assert accuracy.interval == wilson(good, len(labels))
    assert (accuracy.n, accuracy.unit) == (len(labels), "fraction")
    assert "Wilson" in accuracy.protocol
    f1 = compute("macro_f1", {"o": scores}, labels)
    assert f1.value == pytest.approx(macro_f1(labels, guesses))
    assert "bootstrap" in f1.protocol


@given(scored(), st.data())
def test_top_k_is_the_place_in_a_stable_order(case: tuple[Array, Array], data: Any) -> None:
    scores, labels = case
    k = data.draw(st.integers(1, scores.shape[1]))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    expected = (order == labels[:, np.newaxis]).any(axis=1)
    np.testing.assert_array_equal(hits(scores, labels.astype(np.int64), k), expected)
    assert compute(f"top{k}", {"o": scores}, labels).value == expected.mean()


def test_a_figure_worked_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    guesses = [0, 0, 1, 1, 2, 2]
    assert compute("accuracy", outputs_of(guesses, 4), labels).value == pytest.approx(4 / 6)
    expected = (2 * 2 / 5 + 2 * 1 / 4 + 2 * 1 / 3) / 3  # class 3 occurs nowhere
    assert compute("macro_f1", outputs_of(guesses, 4), labels).value == pytest.approx(expected)


def test_the_bootstrap_of_macro_f1_is_that_of_the_samples() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 400)
    guesses = np.where(rng.random(400) < 0.8, labels, rng.integers(0, 5, 400))
    found = compute("macro_f1", outputs_of(guesses, 5), labels)
    drawn = []
    for _ in range(1000):
        rows = rng.integers(0, 400, 400)
        drawn.append(macro_f1(labels[rows], guesses[rows]))
    assert found.interval == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.01)


@given(scored(), st.data())
@settings(max_examples=40)
def test_differences_are_paired(case: tuple[Array, Array], data: Any) -> None:
    scores, labels = case
    other = data.draw(
        hnp.arrays(np.float32, scores.shape, elements=st.sampled_from([0.0, 0.5, 1.0]))
    )
    mine, theirs = {"o": scores}, {"p": other}
    a, b = (x.argmax(axis=1) == labels for x in (scores, other))
    found = difference("accuracy", mine, theirs, labels)
    gained, lost, n = int((a & ~b).sum()), int((b & ~a).sum()), len(labels)
    assert found.value == pytest.approx(a.mean() - b.mean())
    assert found.interval == paired_difference(gained, lost, n)
    assert (found.quantity, found.unit) == ("difference.accuracy", "fraction")
    f1 = difference("macro_f1", mine, theirs, labels)
    expected = compute("macro_f1", mine, labels).value - compute("macro_f1", theirs, labels).value
    assert f1.value == pytest.approx(expected)


def test_a_paired_difference_is_sharper_than_two_intervals() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 5000)
    source = np.where(rng.random(5000) < 0.93, labels, (labels + 1) % 10)
    mine = np.where(rng.random(5000) < 0.01, (labels + 2) % 10, source)
    for quantity in ("accuracy", "macro_f1"):
        own = compute(quantity, outputs_of(mine, 10), labels)
        paired = difference(quantity, outputs_of(mine, 10), outputs_of(source, 10), labels)
        width, paired_width = (m.interval[1] - m.interval[0] for m in (own, paired))
        assert paired_width < 0.6 * width
        assert paired.interval[0] < paired.value < paired.interval[1] < 0


@pytest.mark.parametrize("quantity", ["accuracy", "top2", "macro_f1"])
def test_the_ratio_is_that_of_the_figures(quantity: str) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 500)
    a, b = ({"o": rng.random((500, 4)) + 0.5 * np.eye(4)[labels]} for _ in range(2))
    found = ratio(quantity, a, b, labels)
    own, source = (compute(quantity, x, labels).value for x in (a, b))
    assert found.value == pytest.approx(own / source)
    assert found.interval[0] < found.value < found.interval[1]
    assert (found.quantity, found.unit) == (f"ratio.{quantity}", "x")


def test_there_is_no_ratio_to_nothing() -> None:
    labels = np.zeros(5, int)
    with pytest.raises(ModelError, match="accuracy of the source is zero"):
        ratio("accuracy", outputs_of([0] * 5, 2), outputs_of([1] * 5, 2), labels)


def test_a_bootstrap_that_saw_no_spread_says_so() -> None:
    labels = np.arange(10) % 3
    assert compute("macro_f1", outputs_of(labels, 3), labels).marks == ("no-spread",)
    assert compute("accuracy", outputs_of(labels, 3), labels).marks == ()


def test_scores_may_have_trailing_ones_and_other_outputs_beside_them() -> None:
    labels = np.array([0, 1, 1])
    scores = np.eye(2, dtype=np.float32)[labels]
    outputs = {"feature": np.zeros((3, 2, 7)), "logits": scores.reshape(3, 2, 1, 1)}
    assert compute("accuracy", outputs, labels).value == 1.0


@pytest.mark.parametrize("label", [10, 255, -1])
def test_a_label_out_of_range_is_named_with_its_sample(label: int) -> None:
    labels = np.zeros(6, np.int64)
    labels[4] = label
    with pytest.raises(DataError, match=f"label {label} of sample 4 .* 'logits' has 3 classes"):
        compute("accuracy", outputs_of([0] * 6, 3), labels)


def test_labels_that_are_not_one_a_sample_are_refused() -> None:
    with pytest.raises(DataError, match="one whole number each"):
        compute("accuracy", outputs_of([0] * 6, 3), np.zeros(5, int))
    with pytest.raises(DataError, match=r"one whole number per sample.*int64\[6, 2\]"):
        compute("accuracy", outputs_of([0] * 6, 3), np.zeros((6, 2), int))


@pytest.mark.parametrize("labels", [np.zeros((6, 1), int), np.zeros(6, bool)])
def test_a_column_of_labels_and_booleans_are_classes(labels: Array) -> None:
    assert compute("accuracy", outputs_of([0] * 6, 3), labels).value == 1.0


def test_an_output_that_is_nan_is_named_with_its_sample() -> None:
    outputs = outputs_of([0] * 6, 3)
    outputs["logits"][3, 1] = np.nan
    with pytest.raises(ModelError, match="output 'logits' is NaN for sample 3"):
        compute("accuracy", outputs, np.zeros(6, int))


def test_masked_classes_are_scored() -> None:
    outputs = outputs_of([0, 1, 1, 0, 0, 1], 3)
    outputs["logits"][:, 2] = -np.inf
    assert compute("accuracy", outputs, np.array([0, 1, 1, 0, 0, 0])).value == 5 / 6


@pytest.mark.parametrize(
    "outputs",
    [
        {},
        {"o": np.zeros((0, 3))},
        {"o": np.float32(1)},
        {"o": np.zeros(4)},
        {"o": np.zeros((4, 1))},
        {"o": np.zeros((4, 3, 8))},
        {"o": np.zeros((4, 3)), "p": np.zeros((3, 3))},
    ],
)
def test_outputs_without_class_scores_are_refused(outputs: dict[str, Array]) -> None:
    with pytest.raises((ModelError, DataError)):
        compute("accuracy", outputs, np.zeros(4, int))


def test_outputs_of_other_shapes_cannot_be_paired() -> None:
    with pytest.raises(
        ModelError, match=r"'logits' is \[2, 3\], 'logits' of the source is \[2, 4\]"
    ):
        difference("accuracy", outputs_of([0, 1], 3), outputs_of([0, 1], 4), np.zeros(2, int))


def test_top_k_needs_k_classes() -> None:
    with pytest.raises(DataError, match="top5 needs at least 5 classes, the model has 3"):
        compute("top5", outputs_of([0, 1], 3), np.zeros(2, int))


@given(scored())
def test_the_worst_class_is_the_least_of_the_classes_that_have_samples(
    found: tuple[Array, Array],
) -> None:
    scores, labels = found
    right = hits(scores, labels.astype(np.int64), 1)
    by_class = {int(c): float(right[labels == c].mean()) for c in np.unique(labels)}
    measured = compute("worst_class", {"logits": scores}, labels)
    assert measured.value == min(by_class.values())
    assert by_class[int(measured.where.removeprefix("class "))] == measured.value
    low, high = measured.interval
    assert low <= measured.value <= high


def test_a_class_that_lost_is_found_though_it_is_not_the_worst() -> None:
    """Guards the bound on the worst class against a class that falls from high to middling."""
    labels = np.repeat(np.arange(3), 1000)
    source, mine = labels.copy(), labels.copy()
    source[:400] = 1  # class 0 is the worst by far, in both
    mine[:400] = 1
    mine[1000:1050] = 2  # class 1 loses five points
    both = outputs_of(mine, 3), outputs_of(source, 3)
    apart = difference("worst_class", *both, labels)
    assert apart.value == -0.05 and apart.where == "class 1"
    assert apart.interval[1] < 0
    assert compute("worst_class", both[0], labels).where == "class 0"
    overall = difference("accuracy", *both, labels)
    assert overall.value > -0.02
    assert ratio("worst_class", *both, labels).value == 0.95
    bound = parse_constraint("worst_class >= source - 1pt")
    alone = [compute("worst_class", each, labels) for each in both]
    assert "in class 1" in judge(bound, *alone, apart).sentence
    with pytest.raises(UsageError, match="on the same samples"):
        judge(bound, *alone)
