"""Changed copies of images: where they may go, and that nothing but the seed decides."""

from __future__ import annotations

import pytest
import torch
from training_parts import images

from edgeopt.schema.errors import PassError
from edgeopt.training import TrainingSettings
from edgeopt.training.augment import augmented


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


def test_borders_are_repeated_where_an_image_moves_away_from_them() -> None:
    ramp = torch.arange(8.0).expand(64, 1, 8, 8)
    made = augmented({"x": ramp}, TrainingSettings(shift=2), seed=0, step=0)["x"]
    moves = {tuple(row[0, 0].tolist()) for row in made}
    expected = {tuple(float(min(max(i + k, 0), 7)) for i in range(8)) for k in range(-2, 3)}
    assert moves == expected, "every move, and no other"


def test_a_patch_has_its_image_s_mean_and_is_no_larger_than_asked_for() -> None:
    noise = torch.rand(64, 2, 12, 12, generator=torch.Generator().manual_seed(0))
    made = augmented({"x": noise}, TrainingSettings(erase=5), seed=0, step=0)["x"]
    changed = made != noise
    counts = changed[:, 0].flatten(1).sum(1)
    assert int(counts.max()) == 25 and int(counts.min()) < 25, "it may stick out over the border"
    assert torch.equal(changed[:, 0], changed[:, 1]), "all channels alike"
    means = noise.mean(dim=(1, 2, 3), keepdim=True).expand_as(noise)
    assert torch.equal(made[changed], means[changed])


def test_images_of_one_sample_are_changed_alike_and_the_rest_not_at_all() -> None:
    x = torch.rand(8, 1, 6, 6)
    inputs = {
        "left": x,
        "right": x.clone(),
        "more": torch.rand(8, 3),
        "ids": torch.ones(8, 1, 6, 6).long(),
    }
    made = augmented(inputs, TrainingSettings(shift=1, mirror=True), seed=0, step=0)
    assert torch.equal(made["left"], made["right"]) and not torch.equal(made["left"], x)
    assert made["more"] is inputs["more"] and made["ids"] is inputs["ids"]


def test_nothing_is_changed_unless_it_is_asked_for() -> None:
    inputs = {"x": torch.zeros(4, 3)}
    assert augmented(inputs, TrainingSettings(), seed=0, step=0) is inputs


def test_what_is_no_image_is_not_augmented() -> None:
    with pytest.raises(PassError, match="no input is an image"):
        augmented({"x": torch.zeros(4, 3)}, TrainingSettings(shift=1), seed=0, step=0)
