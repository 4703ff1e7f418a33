"""Files that a real tf-keras (Keras 2) wrote, in an environment of its own, open in Keras 3.

tf-keras is installed beside the tests' own environment, into a folder that one process sees.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeopt.formats import format_named

pytestmark = [pytest.mark.extras, pytest.mark.long]
VERSION = "2.21.0"  # for TensorFlow 2.21

WRITE = """
import sys
from pathlib import Path
import numpy as np
import tf_keras as keras
assert keras.__version__.startswith("2."), keras.__version__
keras.utils.set_random_seed(0)
L, folder = keras.layers, Path(sys.argv[1])
image = keras.Input((12, 12, 3), name="image")
y = L.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image)
y = L.ReLU(6.0)(L.BatchNormalization(momentum=0.9)(y))
y = L.DepthwiseConv2D(3, padding="same", activation="relu")(y)
y = L.SeparableConv2D(8, 3, padding="same")(y)
y = L.Conv2DTranspose(4, 3, strides=2, padding="same")(y)
y = L.Dropout(0.2)(L.GlobalAveragePooling2D()(y))
steps = keras.Input((9, 4), name="steps")
z = L.Bidirectional(L.LSTM(6, return_sequences=True))(steps)
models = {
    "image": keras.Model(image, L.Dense(5, activation="softmax", name="scores")(y)),
    "steps": keras.Model(steps, L.Dense(3, name="scores")(L.GRU(5)(z))),
    "plain": keras.Sequential([keras.Input((7,), name="x"), L.Dense(4, "relu"), L.Dense(2)]),
}
rng = np.random.default_rng(0)
for name, model in models.items():
    for variable in model.variables:
        value = rng.normal(0, 0.3, variable.shape)
        variable.assign(np.abs(value) + 0.5 if "variance" in variable.name else value)
    x = rng.normal(size=(6, *model.input_shape[1:])).astype(np.float32)
    np.savez(folder / f"{name}.npz", x=x, y=model.predict(x, verbose=0))
    model.save(folder / f"{name}.h5")
    model.save(folder / f"{name}.keras")
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models in both forms, and what they answer in Keras 2."""
    folder = tmp_path_factory.mktemp("keras-2")
    into, files = folder / "packages", folder / "files"
    files.mkdir()
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--target", into, f"tf-keras=={VERSION}"], check=True)
    subprocess.run(
        [sys.executable, "-c", WRITE, files], check=True, timeout=300,
        env={**os.environ, "PYTHONPATH": str(into), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    return files


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", ["image", "steps", "plain"])
def test_it_opens_and_answers_as_it_did(
    name: str, suffix: str, written: Path, tmp_path: Path
) -> None:
    fmt, into = format_named("keras"), tmp_path / "artifact"
    into.mkdir()
    fmt.gather({"path": f"{name}{suffix}"}, written, into, {})
    (given,) = fmt.describe(into).signature.inputs
    with np.load(written / f"{name}.npz") as said:
        (found,) = fmt.runner(into)({given.name: said["x"]}).values()
        np.testing.assert_allclose(found, said["y"], rtol=1e-4, atol=1e-5)
