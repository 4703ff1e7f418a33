from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.schema.errors import PassError
from edgeopt.training import Samples
from edgeopt.training import distillation_losses as losses
from edgeopt.training.layers import Pair

X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
LABELS = np.arange(12) % 3
SAMPLES = Samples({"input": X}, LABELS)


def network(width: int = 5, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3))


def taught(teacher: Any, student: Any, **more: Any) -> tuple[float, dict[str, float]]:
    form = {"kind": "classes", "temperature": 2.0, "soft": 1.0, "smoothing": 0.0,
            "method": "logits", "weight": 0.5, "pairs": (), "seed": 0}  # fmt: skip
    loss = losses.distillation_loss(teacher, **{**form, **more})
    value, told = loss(student, SAMPLES.take(np.arange(12)))
    return float(value), told


@pytest.mark.parametrize("kind", ["classes", "values", "embedding"])
def test_losses_are_least_where_student_and_teacher_agree(kind: Any) -> None:
    a, b = torch.randn(6, 3), torch.randn(6, 3)
    assert float(losses.output_loss(a, a, kind)) == pytest.approx(0.0, abs=1e-6)
    assert float(losses.output_loss(a, b, kind)) > 0.1


def test_scores_differ_by_shares_and_embeddings_by_direction() -> None:
    a = torch.randn(6, 3)
    assert float(losses.output_loss(a, a + 5, "classes")) == pytest.approx(0.0, abs=1e-5)
    assert float(losses.output_loss(a, a * 5, "embedding")) == pytest.approx(0.0, abs=1e-5)
    assert float(losses.output_loss(a, a + 5, "values")) == pytest.approx(25.0, rel=1e-5)


def test_a_temperature_s_square_keeps_gradients_of_one_size() -> None:
    a, b = torch.randn(50, 3), torch.randn(50, 3)
    soft = [float(losses.output_loss(a, b, "classes", t)) for t in (50.0, 100.0)]
    assert soft[0] == pytest.approx(soft[1], rel=0.05)


def test_places_of_a_map_count_as_one_sample() -> None:
    a, b = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    flat = [x.movedim(1, -1).reshape(-1, 3) for x in (a, b)]
    expected = float(losses.output_loss(*flat, "classes"))
    assert float(losses.output_loss(a, b, "classes")) == pytest.approx(expected, rel=1e-5)


def test_outputs_that_are_no_scores_are_values() -> None:
    a, b = [torch.randn(6, 3), torch.randn(6, 1)], [torch.randn(6, 3), torch.randn(6, 1)]
    both = float(losses.answers_loss(a, b, "classes", 1.0, (0,)))
    each = [float(losses.output_loss(a[0], b[0], "classes")),
            float(losses.output_loss(a[1], b[1], "values"))]  # fmt: skip
    assert both == pytest.approx(sum(each) / 2)
    with_ids = losses.answers_loss([*a, torch.ones(6).long()], [*b, torch.ones(6)], "classes", 1.0)
    assert float(with_ids) == pytest.approx(both), "whole numbers teach nothing"


def test_a_student_of_other_outputs_is_refused() -> None:
    with pytest.raises(PassError, match="the student gives 1 outputs, the teacher 2"):
        losses.answers_loss([torch.ones(1, 2)], [torch.ones(1, 2)] * 2, "classes", 1.0)


def test_labels_have_the_share_that_the_teacher_leaves() -> None:
    teacher, student = network(seed=1), network(seed=2)
    soft, _ = taught(teacher, student)
    hard, told = taught(teacher, student, soft=0.0)
    half, _ = taught(teacher, student, soft=0.5)
    assert half == pytest.approx((soft + hard) / 2, rel=1e-5)
    assert 0 <= told["accuracy"] <= 1
    assert taught(teacher, student, kind="embedding")[1] == {}
    expected = nn.functional.cross_entropy(student(torch.from_numpy(X)), torch.from_numpy(LABELS))
    assert hard == pytest.approx(float(expected), rel=1e-5)


def test_features_of_unlike_widths_are_projected_by_what_trains_beside() -> None:
    teacher, student = network(8, seed=1), network(5, seed=2)
    pair = Pair("0", "0", 1, (5, 8))
    form: dict[str, Any] = {
        "kind": "classes", "temperature": 1.0, "soft": 1.0, "smoothing": 0.0, "method": "features",
        "weight": 0.5, "pairs": (pair,), "seed": 3,
    }  # fmt: skip
    loss = losses.distillation_loss(teacher, **form)
    assert [tuple(p.shape) for p in loss.parameters()] == [(8, 5), (8,)]
    assert not any("held" in name for name in loss.state_dict()), "no teacher is saved"
    again = losses.distillation_loss(teacher, **form).state_dict()
    assert all(torch.equal(v, again[n]) for n, v in loss.state_dict().items())
    batch = SAMPLES.take(np.arange(12))
    with_features = float(loss(student, batch)[0])
    assert with_features > taught(teacher, student, temperature=1.0)[0]


def test_equal_layers_add_nothing() -> None:
    student, pair = network(), Pair("0", "0", None, (5, 5))
    alone, _ = taught(student, student)
    found, _ = taught(student, student, method="features", pairs=(pair,))
    assert found == pytest.approx(alone)
    other, _ = taught(network(seed=1), student, method="features", pairs=(pair,))
    assert other > taught(network(seed=1), student)[0]


def test_an_attention_map_is_where_channels_are_strong() -> None:
    features = torch.zeros(1, 3, 2, 2)
    features[0, :, 1, 0] = torch.tensor([1.0, 2.0, -2.0])
    assert losses.attention_map(features, 1).tolist() == [[0, 0, 1, 0]]
    assert torch.equal(losses.attention_map(features * 7, 1), losses.attention_map(features, 1))


def test_known_answers_are_those_of_each_step() -> None:
    teacher, student = network(seed=1), network(seed=2)
    known = losses.known_answers(teacher, SAMPLES, lambda *_, **__: None)
    assert known[0].shape == (12, 3)
    asked = taught(teacher, student)[0]
    assert taught(teacher, student, known=known)[0] == pytest.approx(asked, rel=1e-5)


def test_answers_that_take_too_much_memory_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "MOST_KNOWN", 12 * 3 * 4 - 1)
    assert losses.known_answers(network(), SAMPLES, lambda *_, **__: None) is None


def test_nearness_is_least_for_the_teacher_itself() -> None:
    teacher = network(seed=1).eval()
    near = losses.nearness(teacher, SAMPLES, losses.kind_of(SAMPLES))
    own, other = near(teacher), near(network(seed=2).eval())
    assert not own.more_is_better and own.value < 1e-6 < other.value
    assert other.figures == {"validation_loss": other.value}
    assert losses.kind_of(Samples({"input": X})) == "values"
