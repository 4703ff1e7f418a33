"""What can be pruned and what cannot: found by trying, and told by name with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pruned_nets
import pytest
import torch
from torch import nn

from edgeopt.pruning.groups import Layer
from edgeopt.pruning.prunable import find_prunable, prunable

ARCHIVE = Path(__file__).parents[2] / "models" / "fashion_mnist" / "fashion_mnist.npz"


@pytest.fixture(scope="module")
def images() -> dict[str, torch.Tensor]:
    with np.load(ARCHIVE) as archive:
        raw = archive["validation.images"][:6]
    return {"image": torch.from_numpy((raw[:, None] / 255).astype(np.float32) - 0.286)}


def layers(module: nn.Module, images: dict[str, torch.Tensor]) -> dict[str, Layer]:
    return {layer.path: layer for layer in prunable(module, images)}


def test_padded_shortcuts_tie_the_channels_that_they_move(images: dict[str, torch.Tensor]) -> None:
    told = layers(pruned_nets.padded(), images)
    stream = {"stem", "blocks.0.conv2", "blocks.1.conv2", "blocks.2.conv2"}
    assert len({told[path].group for path in stream}) == 1
    assert all(told[path].units == 16 for path in stream), "padded channels stay as they are"
    assert told["blocks.2.conv1"].units == 64
    assert not told["head"].prunable and "output" in told["head"].reason


def test_what_torch_pruning_gets_wrong_is_left_alone(images: dict[str, torch.Tensor]) -> None:
    told = layers(pruned_nets.appended(), images)
    for path in ("stem", "blocks.0.conv2", "blocks.1.conv2", "blocks.2.conv2"):
        assert not told[path].prunable and told[path].reason
    for path in ("blocks.0.conv1", "blocks.1.conv1", "blocks.2.conv1"):
        assert told[path].prunable


def test_depthwise_convolutions_go_with_what_they_read(images: dict[str, torch.Tensor]) -> None:
    told = layers(pruned_nets.mobile(), images)
    assert [p for p, layer in told.items() if not layer.prunable] == ["head.2"]
    assert told["blocks.0.layers.0"].group == told["blocks.0.layers.3"].group
    assert told["stem.0"].group == told["blocks.0.layers.6"].group, "the residual add"


def test_heads_and_inner_channels_of_a_transformer(images: dict[str, torch.Tensor]) -> None:
    told = layers(pruned_nets.encoder(), images)
    attention = told["encoder.layers.1.self_attn"]
    assert (attention.units, attention.unit) == (4, "head")
    assert told["encoder.layers.0.linear1"].units == 64
    assert "normalizes over its channels" in told["patches"].reason


def test_heads_of_attention_by_linear_layers(images: dict[str, torch.Tensor]) -> None:
    told = layers(pruned_nets.written(), images)
    for path in ("attentions.0.qkv", "attentions.1.q", "attentions.1.k", "attentions.1.v"):
        assert (told[path].units, told[path].unit) == (4, "head")
    assert not told["attentions.0.out"].prunable
    can = find_prunable(pruned_nets.written(), images)
    heads = {n.attribute for g in can.groups for n in g.numbers}
    assert heads == {"num_heads", "inner"}, "what forward reshapes by"


def test_joined_and_grouped_channels(images: dict[str, torch.Tensor]) -> None:
    told = layers(pruned_nets.joined(), images)
    assert [p for p, layer in told.items() if not layer.prunable] == ["head"]
    assert told["grouped"].units == 8, "one of each of its four groups goes at a time"
    assert told["mix"].units == 8
    assert told["a"].group != told["b"].group


def test_channels_that_are_multiplied_with_each_other_are_left_alone(
    images: dict[str, torch.Tensor],
) -> None:
    told = layers(pruned_nets.gram(), images)  # Torch-Pruning alone never comes back
    assert told["first"].prunable
    assert not told["second"].prunable and "mixes its channels" in told["second"].reason


def test_the_module_stays_as_it_is(images: dict[str, torch.Tensor]) -> None:
    module = pruned_nets.mobile().train()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    asked = {n: p.requires_grad for n, p in module.named_parameters()}
    prunable(module, images)
    assert module.training
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert asked == {n: p.requires_grad for n, p in module.named_parameters()}
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


@pytest.mark.long
def test_heads_of_transformers_that_others_wrote() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
    )

    class Embedding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = transformers.BertModel(config, add_pooling_layer=False)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.bert(ids).last_hidden_state[:, 0]

    told = layers(Embedding().eval(), {"ids": torch.arange(36).reshape(4, 9)})
    for index in range(2):
        block = f"bert.encoder.layer.{index}"
        for name in ("query", "key", "value"):
            layer = told[f"{block}.attention.self.{name}"]
            assert (layer.units, layer.unit) == (4, "head")
        assert told[f"{block}.intermediate.dense"].units == 64
        assert "normalizes" in told[f"{block}.output.dense"].reason


def test_recurrent_layers_are_listed_as_left_alone() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.rnn = nn.Conv1d(3, 16, 3), nn.GRU(16, 8, batch_first=True)
            self.head = nn.Linear(8, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.rnn(self.conv(x).transpose(1, 2))[0][:, -1])

    layers = {layer.path: layer for layer in prunable(Net(), {"x": torch.randn(4, 3, 20)})}
    assert set(layers) == {"conv", "rnn", "head"}
    assert "are pruned" in layers["rnn"].reason
