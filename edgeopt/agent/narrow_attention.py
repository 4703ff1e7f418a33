"""Attention with fewer heads than ``nn.MultiheadAttention`` allows.

That module asks for as many heads as its width divided by the width of a head. Where heads are
pruned, queries, keys and values are narrower than what goes in and out.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

import torch
from torch import nn
from torch.nn import functional


class NarrowAttention(nn.MultiheadAttention):
    """``nn.MultiheadAttention`` whose inner width, heads times ``head_dim``, is its own.

    ``in_proj_weight`` is (3 * inner, width), ``out_proj.weight`` (width, inner).
    """

    @classmethod
    def take(cls, attention: nn.MultiheadAttention) -> None:
        """Make one of an attention, in place, so that whoever holds it keeps it."""
        attention.__class__ = cls
        # torch's layers look at this before they run fused kernels of their own, which would
        # take the weights to be square
        attention._qkv_same_embed_dim = False

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        key_padding_mask: Optional[torch.Tensor] = None,
        need_weights: bool = True,
        attn_mask: Optional[torch.Tensor] = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> Tuple[torch.Tensor, Optional[torch.Tensor]]:
        """As ``nn.MultiheadAttention``: (batch, length, width), or the axes its flag says."""
        batched = query.dim() == 3
        streams = [x if batched else x.unsqueeze(0) for x in (query, key, value)]
        if batched and not self.batch_first:
            streams = [x.transpose(0, 1) for x in streams]
        q, k, v = self._projected(streams)
        if self.bias_k is not None or self.bias_v is not None or self.add_zero_attn:
            raise NotImplementedError("extra keys and values are not read here")
        scores = (q * self.head_dim**-0.5) @ k.transpose(-2, -1)
        for mask in self._masks(attn_mask, key_padding_mask, batched, scores):
            scores = scores + mask
        weights = functional.softmax(scores, dim=-1)
        mixed = functional.dropout(weights, self.dropout, self.training) @ v
        batch, _, length, _ = mixed.shape
        attn_output = self.out_proj(
            mixed.transpose(1, 2).reshape(batch, length, self.num_heads * self.head_dim)
        )
        if batched and not self.batch_first:
            attn_output = attn_output.transpose(0, 1)
        attn_weights = weights.mean(dim=1) if average_attn_weights else weights
        if not batched:
            attn_output, attn_weights = attn_output.squeeze(0), attn_weights.squeeze(0)
        return attn_output, attn_weights if need_weights else None

    def _projected(self, streams: Any) -> Any:
        """Queries, keys, values: (batch, heads, length, head_dim) each."""
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        projected = (
            functional.linear(x, weight, bias)
            for x, weight, bias in zip(  # noqa: B905 - Python 3.8
                streams, self.in_proj_weight.chunk(3), biases
            )
        )
        return [
            x.reshape(x.shape[0], x.shape[1], self.num_heads, self.head_dim).transpose(1, 2)
            for x in projected
        ]

    def _masks(self, mask: Any, padding: Any, batched: bool, scores: torch.Tensor) -> Any:
        """What is added to the scores, (batch, heads, queries, keys)."""
        if mask is not None:
            if mask.dim() == 3:  # (batch * heads of the whole, queries, keys)
                if mask.shape[0] != scores.shape[0] * self.num_heads:
                    raise ValueError("a mask for each head of the unpruned attention")
                mask = mask.reshape(scores.shape)
            yield _added(mask, scores)
        if padding is not None:
            padding = padding if batched else padding.unsqueeze(0)
            yield _added(padding[:, None, None, :], scores)


def _added(mask: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=scores.dtype, device=scores.device).masked_fill(
        mask, float("-inf")
    )
