"""ONNX files that tf2onnx made of Keras networks, rebuilt in torch: they answer as they did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import onnxsim
import pytest
import tf2onnx
import torch
from torch import nn

from edgeopt.agent.tf_network import keras, tf
from edgeopt.formats import format_named
from edgeopt.formats.onnx.describe import describe
from edgeopt.rebuilding.onnx_nodes import rebuilt

L = keras.layers
pytestmark = pytest.mark.extras


def separable() -> Any:
    """A stem that pads on one side, a depthwise block with a skip, excitation, a head."""
    x = image = L.Input((14, 14, 3), name="image")
    x = L.ReLU(6.0)(L.BatchNormalization()(L.Conv2D(8, 3, 2, "same", use_bias=False)(x)))
    y = L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same", use_bias=False)(x))
    x = L.Add()([x, L.Conv2D(8, 1, activation="swish")(y)])
    x = L.Multiply()([x, L.Dense(8, "sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))])
    x = L.MaxPooling2D()(x)
    return keras.Model(image, L.Dense(5, name="scores")(L.Flatten()(x)))


def over_time() -> Any:
    """Convolutions over time, an LSTM, and both ends of another one."""
    x = steps = L.Input((12, 4), name="steps")
    x = L.Conv1D(6, 3, padding="causal", activation="relu")(x)
    x = L.LSTM(5, return_sequences=True)(x)
    x = L.Bidirectional(L.LSTM(4))(x)
    return keras.Model(steps, L.Dense(3, name="words")(x))


def attending() -> Any:
    """A block of a transformer over embedded tokens."""
    ids = L.Input((6,), dtype="int32", name="ids")
    x = L.Embedding(11, 8)(ids)
    x = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 4)(x, x)]))
    x = L.LayerNormalization()(L.Add()([x, L.Dense(8)(L.Dense(16, "swish")(x))]))
    return keras.Model(ids, L.Dense(3, name="y")(L.GlobalAveragePooling1D()(x)))


def exported(network: Any) -> Any:
    """As a user of Keras exports it."""
    rng = np.random.default_rng(0)
    for variable in network.variables:
        if "seed" not in variable.path:
            values = rng.normal(0, 0.4, variable.shape)
            variable.assign(np.abs(values) + 0.5 if "variance" in variable.path else values)
    (given,) = network.inputs
    spec = tf.TensorSpec((None, *given.shape[1:]), given.dtype, name=given.name)
    made, _ = tf2onnx.convert.from_keras(network, input_signature=[spec], opset=17)
    return made


@pytest.mark.parametrize("simplified", [False, True], ids=["as it is", "simplified"])
@pytest.mark.parametrize("make", [separable, over_time, attending])
@pytest.mark.filterwarnings("ignore")
def test_what_tf2onnx_exports_comes_back(
    make: Callable[[], Any], simplified: bool, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(0)
    model = exported(make())
    if simplified:
        model, sound = onnxsim.simplify(model)
        assert sound
    signature = describe(model, "net.onnx").signature
    tensors = {
        t.name: {"shape": list(t.shape), "dtype": t.dtype, "layout": t.layout}
        for t in signature.inputs
    }
    folder = rebuilt(model, signature).write(tmp_path / "rebuilt", tensors)
    module = format_named("torch").load(folder)
    layers = [m for m in module.modules() if isinstance(m, (nn.Conv2d, nn.Conv1d, nn.Linear))]
    assert len(layers) >= 2
    rng, (one,) = np.random.default_rng(1), signature.inputs
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for batch in (5, 1):
        shape = [batch, *one.shape[1:]]
        drawn = rng.integers(0, 11, shape) if "int" in one.dtype else rng.normal(size=shape)
        x = drawn.astype(one.dtype)
        with torch.no_grad():
            (found,) = module(torch.from_numpy(x)).values()
        (wanted,) = session.run(None, {one.name: x})
        np.testing.assert_allclose(found.numpy(), wanted, rtol=2e-4, atol=2e-5)
