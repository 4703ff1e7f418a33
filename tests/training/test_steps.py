"""What a step is made of: rates, orders and augmented images."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training_parts import images

from edgeopt.schema.errors import PassError
from edgeopt.training import Samples, TrainingSettings
from edgeopt.training.augment import augmented
from edgeopt.training.schedule import learning_rate


@given(
    st.sampled_from(["constant", "cosine", "one-cycle", "step"]),
    st.integers(1, 500),
    st.one_of(st.none(), st.floats(0, 0.9)),
)
def test_rates_are_positive_and_never_above_the_highest(
    schedule: str, total: int, warmup: float | None
) -> None:
    settings = TrainingSettings.model_validate({"schedule": schedule, "lr": 0.3, "warmup": warmup})
    rates = [learning_rate(settings, step, total) for step in range(total)]
    assert all(0 <= rate <= 0.3 + 1e-12 for rate in rates)
    assert any(rate > 0 for rate in rates)


def test_the_shape_of_each_schedule() -> None:
    def rates(**fields: object) -> list[float]:
        settings = TrainingSettings.model_validate({"lr": 1.0, **fields})
        return [learning_rate(settings, step, 100) for step in range(100)]

    one_cycle = rates(schedule="one-cycle")
    assert np.argmax(one_cycle) in (19, 20, 21) and one_cycle[-1] < 0.01 and one_cycle[0] < 0.1
    assert rates(schedule="constant") == [1.0] * 100
    assert math.isclose(rates(schedule="cosine")[50], 0.5)
    falling = rates(schedule="step", decay_at=(0.3, 0.6), decay=0.5)
    assert (falling[29], falling[30], falling[60]) == (1.0, 0.5, 0.25)


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 9))
def test_an_epoch_sees_each_sample_at_most_once_and_almost_all(
    count: int, batch: int, seed: int
) -> None:
    samples = Samples({"x": np.zeros((count, 1), np.float32)})
    steps = samples.steps_per_epoch(batch)
    first, second = (
        np.concatenate([samples.at_step(seed, e * steps + s, batch) for s in range(steps)])
        for e in range(2)
    )
    assert len(set(first)) == len(first) > count - batch
    assert count < 20 or batch > count // 2 or first.tolist() != second.tolist()


def test_augmented_images_stay_what_they_are_but_for_place_side_and_patch() -> None:
    inputs = {"image": torch.from_numpy(images("train", 32).inputs["image"])}
    settings = TrainingSettings(shift=2, mirror=True, erase=6)
    made = augmented(inputs, settings, seed=0, step=4)["image"]
    assert made.shape == (32, 1, 28, 28)
    assert torch.equal(made, augmented(inputs, settings, seed=0, step=4)["image"])
    assert not torch.equal(made, augmented(inputs, settings, seed=0, step=5)["image"])
    mirrored = augmented(inputs, TrainingSettings(mirror=True), seed=0, step=4)["image"]
    same = (mirrored == inputs["image"]).flatten(1).all(1)
    flipped = (mirrored == inputs["image"].flip(-1)).flatten(1).all(1)
    assert bool((same | flipped).all()) and 4 < int(same.sum()) < 28
    shifted = augmented(inputs, TrainingSettings(shift=2), seed=0, step=4)["image"]
    assert set(shifted.unique().tolist()) <= set(inputs["image"].unique().tolist())


def test_what_is_no_image_is_not_augmented() -> None:
    with pytest.raises(PassError, match="no input is an image"):
        augmented({"x": torch.zeros(4, 3)}, TrainingSettings(shift=1), seed=0, step=0)
