"""Train the Keras network on Fashion-MNIST and write ``source.keras``.

    python train.py                # as the shipped file was made
    python train.py --evaluate     # score source.keras on validation and test

Nothing is selected on validation or test: the weights kept are those of the last epoch.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

HERE = Path(__file__).parent
DATA = HERE.parent / "fashion_mnist" / "fashion_mnist.npz"
MODEL = HERE / "source.keras"
MEAN, SPREAD = 0.286, 0.353


def samples(split: str) -> tuple[Any, Any]:
    with np.load(DATA, allow_pickle=False) as archive:
        images, labels = archive[f"{split}.images"], archive[f"{split}.label"]
    return ((images[..., None] / np.float32(255)) - MEAN) / SPREAD, labels


def network() -> Any:
    """Blocks of a depthwise and a pointwise convolution; strides pad on one side only."""
    image = layers.Input((28, 28, 1), name="image")

    def normed(x: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    x = normed(layers.Conv2D(24, 3, padding="same", use_bias=False)(image))
    for width, stride in ((32, 2), (64, 1), (64, 2), (96, 1), (128, 2)):
        deep = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(x)
        wide = normed(layers.Conv2D(width, 1, use_bias=False)(normed(deep)))
        x = layers.Add()([x, wide]) if x.shape[1:] == wide.shape[1:] else wide
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(10, name="scores")(x), name="images")


def augment(images: Any, rng: np.random.Generator) -> Any:
    """Mirrored at random and moved by up to two pixels."""
    flipped = np.where(
        rng.random(len(images))[:, None, None, None] < 0.5, images[:, :, ::-1], images
    )
    padded = np.pad(flipped, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=-MEAN / SPREAD)
    moves = rng.integers(0, 5, (len(images), 2))
    return np.stack([p[a : a + 28, b : b + 28] for p, (a, b) in zip(padded, moves, strict=True)])


def train(asked: argparse.Namespace) -> None:
    keras.utils.set_random_seed(asked.seed)
    rng = np.random.default_rng(asked.seed)
    images, labels = samples("train")
    model = network()
    steps = len(labels) // asked.batch
    rate = keras.optimizers.schedules.CosineDecay(asked.peak, asked.epochs * steps)
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.02),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    for epoch in range(asked.epochs):
        model.fit(augment(images, rng), labels, batch_size=asked.batch, verbose=0)
        print(f"epoch {epoch + 1}/{asked.epochs}", flush=True)
    keras.Model(model.inputs, model.outputs, name="images").save(MODEL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--peak", type=float, default=4e-3, help="learning rate to begin with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evaluate", action="store_true", help="score the file, train nothing")
    asked = parser.parse_args()
    if not asked.evaluate:
        train(asked)
    model = keras.saving.load_model(MODEL, compile=False)
    for split in ("validation", "test"):
        images, labels = samples(split)
        right = model.predict(images, batch_size=500, verbose=0).argmax(1) == labels
        print(f"{split}: accuracy {right.mean():.4f}")


if __name__ == "__main__":
    main()
