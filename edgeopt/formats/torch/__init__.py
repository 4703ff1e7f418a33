"""The torch format: a factory with a state dict, or an exported program.

An artifact holds ``model.json`` (factory or program, inputs, outputs) and either
``weights.safetensors`` and ``code/``, with the factory's module and all modules beside it that
it imports, or ``program.pt2``, a checked copy. Beside weights, ``edits.json`` holds what is done
to the factory's module before they fit.
"""

from __future__ import annotations

from edgeopt.formats.torch.declared import TorchDeclared

__all__ = ["DECLARED", "TorchDeclared"]

DECLARED = TorchDeclared()
