"""Attention with its own inner width: the same as torch's where nothing was taken away."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeopt.agent.narrow_attention import NarrowAttention

WIDTH, HEADS, LENGTH = 12, 3, 5


def attention(**options: bool) -> nn.MultiheadAttention:
    torch.manual_seed(0)
    made = nn.MultiheadAttention(WIDTH, HEADS, **options)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.5)
    return made.eval()


def taken(given: nn.MultiheadAttention) -> NarrowAttention:
    NarrowAttention.take(given)
    assert isinstance(given, NarrowAttention)
    return given


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("mask", ["none", "bool", "float", "by head", "padding"])
def test_with_all_heads_it_is_attention(batch_first: bool, bias: bool, mask: str) -> None:
    x = torch.randn(2, LENGTH, WIDTH)
    y = torch.randn(2, LENGTH, WIDTH)
    if not batch_first:
        x, y = x.transpose(0, 1), y.transpose(0, 1)
    masked = torch.rand(LENGTH, LENGTH) < 0.3
    masked.fill_diagonal_(False)
    padding = torch.zeros(2, LENGTH, dtype=torch.bool)
    padding[1, -2:] = True
    options = {
        "none": {},
        "bool": {"attn_mask": masked},
        "float": {"attn_mask": torch.randn(LENGTH, LENGTH)},
        "by head": {"attn_mask": torch.randn(2 * HEADS, LENGTH, LENGTH)},
        "padding": {"key_padding_mask": padding},
    }[mask]
    whole = attention(batch_first=batch_first, bias=bias)
    expected, weights = whole(x, y, y, **options)
    found, told = taken(attention(batch_first=batch_first, bias=bias))(x, y, y, **options)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(told, weights, rtol=1e-4, atol=1e-5)


def test_one_sample_without_a_batch_is_attention_too() -> None:
    x = torch.randn(LENGTH, WIDTH)
    whole, narrow = attention(), taken(attention())
    for options in ({}, {"average_attn_weights": False}, {"need_weights": False}):
        for found, expected in zip(narrow(x, x, x, **options), whole(x, x, x, **options),
                                   strict=True):  # fmt: skip
            if expected is None:
                assert found is None
            else:
                torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_with_fewer_heads_it_answers_as_one_whose_other_heads_give_nothing() -> None:
    x = torch.randn(2, LENGTH, WIDTH)
    whole, narrow = attention(batch_first=True), taken(attention(batch_first=True))
    depth = WIDTH // HEADS
    kept = torch.cat([torch.arange(depth), torch.arange(2 * depth, 3 * depth)])  # not the second
    with torch.no_grad():
        whole.out_proj.weight[:, depth : 2 * depth] = 0
        rows = torch.cat([kept + part * WIDTH for part in range(3)])
        narrow.in_proj_weight = nn.Parameter(narrow.in_proj_weight[rows])
        narrow.in_proj_bias = nn.Parameter(narrow.in_proj_bias[rows])
        narrow.out_proj.weight = nn.Parameter(narrow.out_proj.weight[:, kept])
    narrow.num_heads = 2
    torch.testing.assert_close(narrow(x, x, x)[0], whole(x, x, x)[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="a mask for each head of the unpruned attention"):
        narrow(x, x, x, attn_mask=torch.zeros(2 * HEADS, LENGTH, LENGTH))


def test_extra_keys_are_refused() -> None:
    x = torch.randn(2, LENGTH, WIDTH)
    with pytest.raises(NotImplementedError, match="extra keys and values"):
        taken(attention(add_zero_attn=True))(x, x, x)
