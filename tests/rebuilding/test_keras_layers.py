"""Keras models rebuilt in torch: each layer answers as it did, or is refused by its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgeopt.agent.tf_network import keras, of_keras
from edgeopt.formats import format_named
from edgeopt.rebuilding.keras_layers import rebuilt
from edgeopt.schema.errors import PassError

L = keras.layers
pytestmark = pytest.mark.extras


def image(size: int = 9, channels: int = 3) -> Any:
    return L.Input((size, size, channels), name="x")


def signal(steps: int = 11, channels: int = 4) -> Any:
    return L.Input((steps, channels), name="x")


def random_weights(model: Any) -> None:
    """Numbers that show a transposed or reordered axis: nothing is 0, 1 or alike."""
    rng = np.random.default_rng(0)
    for variable in model.variables:
        values = rng.normal(0, 0.4, variable.shape)
        if "variance" in variable.path:
            values = np.abs(values) + 0.5
        if "seed" not in variable.path:
            variable.assign(values)


def compare(model: Any, tmp_path: Path, first: bool | None = None) -> torch.nn.Module:
    """Rebuilt, written, loaded by its format: the answers to five samples."""
    random_weights(model)
    network = of_keras(model, "net.keras")
    (one,) = network.inputs
    shape = [5, *one["shape"][1:]]
    is_image = len(shape) == 4 if first is None else first
    plan = rebuilt(network, {"x": is_image})
    said = ["batch", *shape[1:]]
    lies = ["batch", shape[3], shape[1], shape[2]] if is_image else said
    inputs = {"x": {"shape": lies, "dtype": one["dtype"], "layout": "NCHW" if is_image else ""}}
    folder = plan.write(tmp_path / "rebuilt", inputs)
    module = format_named("torch").load(folder)
    rng = np.random.default_rng(1)
    if one["dtype"].startswith("int"):
        x = rng.integers(0, 7, shape).astype(one["dtype"])
    else:
        x = rng.normal(size=shape).astype(np.float32)
    fed = np.ascontiguousarray(np.moveaxis(x, -1, 1)) if is_image else x
    with torch.no_grad():
        found = module(torch.from_numpy(fed))
    wanted = keras.tree.flatten(model(x, training=False))
    for one_found, one_wanted in zip(found.values(), wanted, strict=True):
        np.testing.assert_allclose(one_found.numpy(), one_wanted.numpy(), rtol=2e-4, atol=2e-5)
    assert isinstance(module, torch.nn.Module)
    return module


def chain(start: Any, *steps: Any) -> Any:
    x = start
    for step in steps:
        x = step(x)
    return keras.Model(start, x)


SAME = {"padding": "same"}
CHAINS: dict[str, Callable[[], Any]] = {
    "conv valid": lambda: chain(image(), L.Conv2D(5, 3)),
    "conv same": lambda: chain(image(), L.Conv2D(5, 3, **SAME, activation="relu")),
    "conv same, stride, even": lambda: chain(image(10), L.Conv2D(5, 3, strides=2, **SAME)),
    "conv same, stride, odd": lambda: chain(image(9), L.Conv2D(5, 3, strides=2, **SAME)),
    "conv same, even kernel": lambda: chain(image(), L.Conv2D(5, (4, 2), **SAME)),
    "conv dilated": lambda: chain(image(), L.Conv2D(5, 3, dilation_rate=2, **SAME)),
    "conv in groups": lambda: chain(image(9, 4), L.Conv2D(6, 3, groups=2, use_bias=False)),
    "by depth": lambda: chain(image(), L.DepthwiseConv2D(3, depth_multiplier=2, **SAME)),
    "by depth, stride": lambda: chain(image(10), L.DepthwiseConv2D(3, strides=2, **SAME)),
    "separable": lambda: chain(image(), L.SeparableConv2D(5, 3, depth_multiplier=2, **SAME)),
    "transposed valid": lambda: chain(image(), L.Conv2DTranspose(5, 3, strides=2)),
    "transposed same": lambda: chain(image(), L.Conv2DTranspose(5, 3, strides=2, **SAME)),
    "transposed same, even": lambda: chain(image(), L.Conv2DTranspose(5, 4, strides=2, **SAME)),
    "transposed, kernel below": lambda: chain(image(), L.Conv2DTranspose(5, 2, strides=3, **SAME)),
    "conv 1d causal": lambda: chain(signal(), L.Conv1D(5, 3, padding="causal", dilation_rate=2)),
    "conv 1d same": lambda: chain(signal(), L.Conv1D(5, 4, strides=2, **SAME)),
    "separable 1d": lambda: chain(signal(), L.SeparableConv1D(5, 3, **SAME)),
    "transposed 1d": lambda: chain(signal(), L.Conv1DTranspose(5, 3, strides=2, **SAME)),
    "max pool": lambda: chain(image(), L.MaxPooling2D(2)),
    "max pool same": lambda: chain(image(9), L.MaxPooling2D(2, **SAME)),
    "max pool same, 3": lambda: chain(image(10), L.MaxPooling2D(3, strides=2, **SAME)),
    "average pool same": lambda: chain(image(9), L.AveragePooling2D(2, **SAME)),
    "average pool 1d": lambda: chain(signal(), L.AveragePooling1D(3)),
    "average pool same, 3": lambda: chain(image(9), L.AveragePooling2D(3, strides=1, **SAME)),
    "over all": lambda: chain(image(), L.Conv2D(5, 3), L.GlobalAveragePooling2D(), L.Dense(2)),
    "over all, kept": lambda: chain(image(), L.GlobalMaxPooling2D(keepdims=True), L.Conv2D(2, 1)),
    "over all 1d": lambda: chain(signal(), L.GlobalMaxPooling1D()),
    "up": lambda: chain(image(), L.UpSampling2D(2)),
    "up, bilinear": lambda: chain(image(), L.UpSampling2D(2, interpolation="bilinear")),
    "up 1d": lambda: chain(signal(), L.UpSampling1D(2)),
    "zeros": lambda: chain(image(), L.ZeroPadding2D(((1, 2), (3, 0)))),
    "cropped": lambda: chain(image(), L.Cropping2D(((1, 2), (3, 0)))),
    "zeros 1d": lambda: chain(signal(), L.ZeroPadding1D((1, 2))),
    "flat, dense": lambda: chain(image(5), L.Conv2D(4, 2), L.Flatten(), L.Dense(3)),
    "flat, active, dense": lambda: chain(
        image(5), L.Conv2D(4, 2), L.Flatten(), L.ReLU(), L.Dropout(0.5), L.Dense(3)
    ),
    "flat, normed": lambda: chain(image(5), L.Flatten(), L.BatchNormalization(), L.Dense(3)),
    "flat at the end": lambda: chain(image(5), L.Conv2D(4, 2), L.Flatten()),
    "reshaped": lambda: chain(image(6), L.Conv2D(4, 3), L.Reshape((8, 8)), L.Dense(3)),
    "exchanged": lambda: chain(image(6), L.Permute((2, 3, 1)), L.Conv2D(4, 3)),
    "normed": lambda: chain(image(), L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(6.0)),
    "normed without scale": lambda: chain(image(), L.BatchNormalization(scale=False, center=False)),
    "normed in one dimension": lambda: chain(signal(), L.Conv1D(4, 3), L.BatchNormalization()),
    "layer norm": lambda: chain(signal(), L.LayerNormalization(epsilon=1e-3), L.Dense(3)),
    "layer norm of images": lambda: chain(image(), L.Conv2D(4, 3), L.LayerNormalization()),
    "dense in each step": lambda: chain(signal(), L.TimeDistributed(L.Dense(3))),
    "rescaled": lambda: chain(image(), L.Rescaling(1 / 3, offset=-0.5), L.Conv2D(2, 1)),
    "slopes": lambda: chain(image(), L.LeakyReLU(0.1), L.PReLU(shared_axes=[1, 2]), L.ELU(0.7)),
    "softmax": lambda: chain(image(), L.Conv2D(4, 1), L.Softmax()),
    "dense softmax": lambda: chain(signal(), L.Flatten(), L.Dense(4, activation="softmax")),
    "lstm": lambda: chain(signal(), L.LSTM(6)),
    "lstm, all steps": lambda: chain(signal(), L.LSTM(6, return_sequences=True), L.LSTM(3)),
    "gru": lambda: chain(signal(), L.GRU(6, return_sequences=True), L.GRU(5), L.Dense(2)),
    "gru without bias": lambda: chain(signal(), L.GRU(6, use_bias=False)),
    "simple": lambda: chain(signal(), L.SimpleRNN(6)),
    "both ways": lambda: chain(signal(), L.Bidirectional(L.LSTM(6, return_sequences=True)),
                               L.Bidirectional(L.GRU(4))),
    "conv, then gru": lambda: chain(signal(), L.Conv1D(5, 3, **SAME), L.GRU(4)),
    "nested": lambda: chain(image(), chain(image(), L.Conv2D(4, 3)), L.GlobalAveragePooling2D()),
    **{f"activation {name}": (lambda name=name: chain(image(), L.Conv2D(4, 1, activation=name)))
       for name in ("relu", "relu6", "sigmoid", "tanh", "elu", "selu", "silu", "gelu", "softplus",
                    "softsign", "hard_sigmoid", "hard_silu", "mish", "leaky_relu", "softmax",
                    "exponential")},
}  # fmt: skip


@pytest.mark.parametrize("make", CHAINS.values(), ids=CHAINS)
def test_a_layer_answers_as_it_did(make: Callable[[], Any], tmp_path: Path) -> None:
    compare(make(), tmp_path)


def test_branches_join_as_they_did(tmp_path: Path) -> None:
    x = image()
    a, b = L.Conv2D(4, 3, padding="same")(x), L.Conv2D(4, 1)(x)
    total = L.Add()([a, b]) * 0.5 + 1.0
    joined = L.Concatenate()([total, L.Maximum()([a, b]), a - b])
    gate = L.Reshape((1, 1, 12))(
        L.Dense(12, activation="sigmoid")(L.GlobalAveragePooling2D()(joined))
    )
    compare(keras.Model(x, [L.Multiply()([joined, gate]), L.Flatten()(b)]), tmp_path)


def test_ids_go_through_a_table(tmp_path: Path) -> None:
    x = L.Input((6,), dtype="int32", name="x")
    compare(keras.Model(x, L.GRU(4)(L.Embedding(7, 5)(x))), tmp_path, first=False)


def test_momentum_is_what_torch_takes_of_the_new(tmp_path: Path) -> None:
    model = chain(image(), L.BatchNormalization(momentum=0.9, name="norm"))
    module = compare(model, tmp_path)
    assert module.norm.momentum == pytest.approx(0.1)


def test_a_layer_used_twice_is_one_module(tmp_path: Path) -> None:
    x, shared = image(), L.Conv2D(3, 3, padding="same", name="shared")
    module = compare(keras.Model(x, shared(shared(x))), tmp_path)
    assert sum(p.numel() for p in module.parameters()) == 3 * 3 * 9 + 3


def test_the_module_trains(tmp_path: Path) -> None:
    """Gradients reach every weight, and statistics of batch norms move."""
    module = compare(chain(image(), L.Conv2D(4, 3), L.BatchNormalization(name="norm"), L.ReLU(),
                           L.GlobalAveragePooling2D(), L.Dense(2)), tmp_path)  # fmt: skip
    before = module.norm.running_mean.clone()
    module.train()
    (made,) = module(torch.randn(8, 3, 9, 9)).values()
    made.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())
    assert not torch.equal(before, module.norm.running_mean)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: chain(signal(), L.GRU(4, reset_after=False, name="third")), "reset_after=False"),
        (lambda: chain(signal(), L.LSTM(4, activation="relu", name="third")), "activation 'relu'"),
        (lambda: chain(image(), L.GroupNormalization(3, name="third")), "no twin in torch"),
        (lambda: chain(signal(), L.LSTM(4, go_backwards=True, name="third")), "runs backwards"),
        (lambda: chain(image(), L.MaxPooling2D(2, data_format="channels_first", name="third")),
         "channels come first"),
    ],
)  # fmt: skip
def test_what_has_no_twin_is_refused_by_its_name(make: Callable[[], Any], said: str) -> None:
    network = of_keras(make(), "net.keras")
    with pytest.raises(PassError, match="layer 'third'") as caught:
        rebuilt(network, {"x": len(network.inputs[0]["shape"]) == 4})
    assert said in caught.value.what


def test_a_plan_is_plain_json_and_names_are_modules(tmp_path: Path) -> None:
    model = chain(image(), L.Conv2D(4, 3, name="block.1.conv"))
    module = compare(model, tmp_path)
    assert "block_1_conv" in dict(module.named_modules())
    plan = json.loads((tmp_path / "rebuilt" / "code" / "network.json").read_text())
    assert plan["inputs"] == ["x"]
