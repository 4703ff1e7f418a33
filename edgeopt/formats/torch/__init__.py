"""The torch format: a factory, its source files and a state dict in safetensors.

An artifact holds ``model.json`` (factory, inputs, outputs), ``weights.safetensors`` and
``code/`` with the factory's module and all modules beside it that it imports.
"""

from __future__ import annotations

from edgeopt.formats.torch.format import TorchFormat

__all__ = ["FORMAT", "TorchFormat"]

FORMAT = TorchFormat()
