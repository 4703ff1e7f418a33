"""Train the keyword network on the drawn words and write the SavedModel ``source/``.

    python train.py                # as the shipped folder was made
    python train.py --evaluate     # score it on validation and test

Nothing is selected on validation or test: the weights kept are those of the last epoch.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

HERE = Path(__file__).parent
FOLDER = HERE / "source"
SCALE = 16.0


def samples(split: str) -> tuple[Any, Any]:
    with np.load(HERE / "keywords.npz", allow_pickle=False) as archive:
        return archive[f"{split}.spectra"] / np.float32(SCALE), archive[f"{split}.label"]


def network(frames: int, bands: int) -> Any:
    """Convolutions over time, then one recurrent layer."""
    x = start = layers.Input((frames, bands), name="spectra")
    for width in (48, 64):
        x = layers.Conv1D(width, 5, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.MaxPooling1D(2)(x)
    x = layers.LSTM(48)(x)
    return keras.Model(start, layers.Dense(8, name="words")(layers.Dropout(0.2)(x)))


def train(asked: argparse.Namespace) -> None:
    keras.utils.set_random_seed(asked.seed)
    spectra, labels = samples("train")
    model = network(*spectra.shape[1:])
    steps = len(labels) // asked.batch
    rate = keras.optimizers.schedules.CosineDecay(asked.peak, asked.epochs * steps)
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    for epoch in range(asked.epochs):
        model.fit(spectra, labels, batch_size=asked.batch, verbose=0)
        print(f"epoch {epoch + 1}/{asked.epochs}", flush=True)
    module = tf.Module()
    module.held = [variable.value for variable in model.variables]
    taken = tf.TensorSpec([None, *spectra.shape[1:]], tf.float32, name="spectra")
    module.words = tf.function(
        lambda x: {"words": model(x, training=False)}, input_signature=[taken]
    )
    shutil.rmtree(FOLDER, ignore_errors=True)
    tf.saved_model.save(module, str(FOLDER), signatures={"serving_default": module.words})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--peak", type=float, default=4e-3, help="learning rate to begin with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evaluate", action="store_true", help="score the folder, train nothing")
    asked = parser.parse_args()
    if not asked.evaluate:
        train(asked)
    words = tf.saved_model.load(str(FOLDER)).signatures["serving_default"]
    for split in ("validation", "test"):
        spectra, labels = samples(split)
        right = words(spectra=tf.constant(spectra))["words"].numpy().argmax(1) == labels
        print(f"{split}: accuracy {right.mean():.4f}")


if __name__ == "__main__":
    main()
