"""A Keras network pruned, distilled and trained INT8, beside its twin written for torch.

    python benchmarks/keras_twin.py FOLDER [--epochs 12] [--qat-epochs 4]

The twin (``twin/net.py``) gets the weights of ``models/keras_images/source.keras``; both answer
alike within 1e-4. Both go through the same passes: a quarter of the MACs kept, distilled, QAT,
ONNX. Prints the accuracy of both results with its interval, and the p50 of the Keras network's INT8
file over the twin's and over its own FP32 ONNX, raced in turn in ONNX Runtime, several times. Leave
the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.agent.machine import facts

os.environ["KERAS_BACKEND"] = "tensorflow"
HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "models"
EDGEOPT = str(Path(sys.executable).with_name("edgeopt"))
RECIPE = """
model:
{model}
  trained_on: {models}/fashion_mnist/trained_on.npy
data:
  source: {models}/fashion_mnist/fashion_mnist.npz
  inputs: {{image: images}}
  label: label
  splits: {{train: train, calibration: "train[:512]", validation: validation, test: test}}
  preprocess: [{{scale: 255}}, {{normalize: {{mean: 0.286, std: 0.353}}}}]
targets: [local/onnxruntime]
passes:
{passes}
seed: 0
"""
PASSES = """
  - prune-structured: {{macs: 0.25}}
  - distill: {{epochs: {epochs}, lr: 0.05, precision: auto, shift: 2, mirror: true}}
  - qat: {{scheme: auto, epochs: {qat}}}
  - export-onnx
"""
KERAS = "  path: {models}/keras_images/source.keras"
TWIN = """  format: torch
  factory: "{here}/twin/net.py:images"
  weights: {folder}/twin.safetensors"""


def weights(file: Path) -> None:
    """Write the twin's weights, and prove that both networks answer alike."""
    import keras
    import torch
    from safetensors.torch import save_file

    sys.path.insert(0, str(HERE / "twin"))
    import net

    model = keras.saving.load_model(MODELS / "keras_images" / "source.keras", compile=False)
    arrays = model.get_weights()
    twin = net.images().eval()
    held = dict(twin.state_dict())
    names = [n for n in held if not n.endswith("num_batches_tracked")]
    assert len(names) == len(arrays), (len(names), len(arrays))
    for name, array in zip(names, arrays, strict=True):
        axes = {1: (0,), 2: (1, 0), 4: (2, 3, 0, 1) if ".deep." in name else (3, 2, 0, 1)}
        turned = array.transpose(axes[array.ndim])
        assert turned.shape == tuple(held[name].shape), (name, turned.shape)
        held[name] = torch.from_numpy(np.ascontiguousarray(turned))
    twin.load_state_dict(held)
    save_file(held, file)
    x = np.random.default_rng(0).normal(size=(16, 28, 28, 1)).astype(np.float32)
    expected = np.asarray(model(x))
    with torch.no_grad():
        found = twin(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def optimized(folder: Path, name: str, model: str, passes: str) -> tuple[dict[str, Any], Path]:
    """What was measured of the chosen artifact, and its file. Raises CalledProcessError where there
    is none."""
    recipe = folder / f"{name}.yaml"
    recipe.write_text(RECIPE.format(model=model, models=MODELS, passes=passes))
    command = [EDGEOPT, "optimize", str(recipe), "--out", str(folder / name), "--no-race"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    result = json.loads((folder / name / "result.json").read_text())
    (found,) = (
        candidate
        for target in result["targets"]
        for candidate in target["candidates"]
        if candidate["id"] == target["chosen"]
    )
    print(f"{name}: {found['label']}, {spelled(found['measurements']['accuracy'], 100, '%')}")
    return found["measurements"], folder / name / "best" / "local-onnxruntime" / "model.onnx"


def spelled(found: dict[str, Any], scale: float = 1, unit: str = "") -> str:
    """A figure with its interval."""
    value, low, high = (scale * found[key] for key in ("value", "low", "high"))
    return f"{value:.2f}{unit} ({low:.2f} to {high:.2f}{unit})"


def main() -> None:
    """Make both, compare their accuracy, race their files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--qat-epochs", type=int, default=4)
    parser.add_argument("--races", type=int, default=5)
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    folder.mkdir(exist_ok=True, parents=True)
    weights(folder / "twin.safetensors")
    smaller = PASSES.format(epochs=asked.epochs, qat=asked.qat_epochs)
    keras_model, twin_model = KERAS.format(models=MODELS), TWIN.format(here=HERE, folder=folder)
    _, float_file = optimized(folder, "float", keras_model, "  - export-onnx\n  - simplify-onnx")
    by_keras, keras_file = optimized(folder, "keras", keras_model, smaller)
    by_twin, twin_file = optimized(folder, "twin", twin_model, smaller)
    inside = by_twin["accuracy"]["low"] <= by_keras["accuracy"]["value"]
    print(
        "accuracy of the Keras network's is", "within" if inside else "BELOW", "the twin's interval"
    )
    machine = facts()
    print(f"{machine['cpu']}, {machine['isa']}, ONNX Runtime, one thread, batch 1")
    for first, second in (("twin", twin_file), ("float", float_file)):
        for number in range(asked.races):
            command = [EDGEOPT, "benchmark", str(second), str(keras_file), "--json", "--quiet"]
            ran = subprocess.run(
                [*command, "--target", "local/onnxruntime"], check=True, capture_output=True
            )
            (target,) = json.loads(ran.stdout)["targets"]
            found = target["files"][1]["measurements"]
            ratio = spelled(found["ratio.latency.p50"])
            print(f"{number + 1}  {found['latency.p50']['value']:.3f} ms, {ratio} x {first}'s")


if __name__ == "__main__":
    main()
