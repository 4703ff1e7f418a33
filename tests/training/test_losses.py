from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edgeopt.schema.errors import PassError
from edgeopt.training import Samples, supervised, validation
from edgeopt.training.losses import accuracies_of, accuracy_of, label_loss, labels_fit, targets_loss
from edgeopt.training.samples import Target

SCORES = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
CLASSES = torch.tensor([0, 1, 2, 0, 1, 2])
X = np.arange(12, dtype=np.float32).reshape(6, 2)


class Two(nn.Module):
    """Scores of three classes, and a price."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.kind, self.price = nn.Linear(2, 3), nn.Linear(2, 1)

    def forward(self, x: torch.Tensor) -> Any:
        return {"kind": self.kind(x), "price": self.price(x)}


def samples(*names: str) -> Samples:
    """Labels of these outputs, by position."""
    known = {"kind": (0, CLASSES.numpy()), "price": (1, np.linspace(0, 1, 6))}
    return Samples({"x": X}, None, tuple(Target(known[n][0], n, known[n][1]) for n in names))


def test_whole_labels_are_classes_and_floats_are_values() -> None:
    assert torch.equal(label_loss(SCORES, CLASSES), functional.cross_entropy(SCORES, CLASSES))
    smooth = functional.cross_entropy(SCORES, CLASSES, label_smoothing=0.1)
    assert torch.equal(label_loss(SCORES, CLASSES, 0.1), smooth)
    values = torch.rand(6, 3)
    assert torch.equal(label_loss(SCORES, values), functional.mse_loss(SCORES, values))


def test_axes_of_size_one_do_not_part_values_from_outputs() -> None:
    """Guards against (b, 1) against (b,), which would be broadcast to all pairs."""
    outputs, values = torch.arange(4.0).reshape(4, 1), torch.arange(4.0)
    assert label_loss(outputs, values) == 0


def test_places_of_a_map_have_a_label_each() -> None:
    scores, labels = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    assert torch.equal(label_loss(scores, labels), functional.cross_entropy(scores, labels))


@pytest.mark.parametrize(
    ("outputs", "labels", "said"),
    [
        (SCORES, torch.rand(6, 2), "outputs are [6, 3], values to predict are [6, 2]"),
        (torch.rand(6), CLASSES, "class labels need (batch, classes) scores, not [6]"),
        (SCORES, CLASSES[:4], "one number a sample of [6, 3] scores: [6], not [4]"),
        (torch.rand(2, 3, 4), torch.zeros(2).long(), "one number a place of [2, 3, 4] scores"),
        (SCORES, CLASSES + 1, "label 3 has no score: 3 classes"),
        (SCORES, CLASSES - 1, "label -1 has no score: 3 classes"),
    ],
)
def test_labels_that_do_not_fit_are_refused(outputs: Any, labels: Any, said: str) -> None:
    with pytest.raises(PassError) as caught:
        label_loss(outputs, labels)
    assert said in caught.value.what


def test_several_labelled_outputs_count_alike() -> None:
    module, batch = Two(), samples("kind", "price").take(np.arange(6))
    outputs = list(module(**batch.inputs).values())
    each = [label_loss(outputs[t.position], t.labels) for t in batch.targets]
    assert float(targets_loss(outputs, batch)) == pytest.approx(float(sum(each)) / 2)
    loss, figures = supervised()(module, batch)
    assert torch.equal(loss, targets_loss(outputs, batch))
    assert figures == accuracies_of(outputs, batch) == accuracy_of(outputs[0], CLASSES)


def test_accuracy_is_told_of_classes_alone() -> None:
    right = functional.one_hot(CLASSES, 3).float()
    assert accuracy_of(right, CLASSES) == {"accuracy": 1.0}
    assert accuracy_of(right.roll(1, 1), CLASSES) == {"accuracy": 0.0}
    assert accuracy_of(right, CLASSES.float()) == accuracy_of(right, None) == {}
    assert accuracy_of(right, CLASSES[:4]) == {}


def test_labels_fit_where_a_loss_can_compare_them() -> None:
    module = Two().eval()
    assert labels_fit(module, samples("kind", "price"))
    assert not labels_fit(module, Samples({"x": X}))
    far = np.array([0, 1, 2, 0, 1, 3])
    assert not labels_fit(module, Samples({"x": X}, far)), "the last sample alone has no score"


def test_validation_is_accuracy_on_classes_and_else_the_loss() -> None:
    module = Two().eval()
    score = validation(samples("kind"))(module)
    with torch.no_grad():
        outputs = module(torch.from_numpy(X))
    assert score.more_is_better and score.value == pytest.approx(
        accuracy_of(outputs["kind"], CLASSES)["accuracy"]
    )
    both = validation(samples("kind", "price"))(module)
    expected = targets_loss(list(outputs.values()), samples("kind", "price").take(np.arange(6)))
    assert not both.more_is_better and both.value == pytest.approx(float(expected))


def test_without_labels_there_is_nothing_to_learn_or_validate_by() -> None:
    bare = Samples({"x": X})
    with pytest.raises(PassError, match="validation needs labels"):
        validation(bare)
    with pytest.raises(PassError, match="training needs labels"):
        supervised()(Two(), bare.take(np.arange(2)))
