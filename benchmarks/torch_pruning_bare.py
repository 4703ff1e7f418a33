"""The shipped networks, pruned by Torch-Pruning as its own introduction does it.

Half of the channels of every layer but the head, the least by group magnitude; its defaults
otherwise. Nothing of edgeopt.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
import torch_pruning
from safetensors.torch import load_file
from torch import nn


def source(folder: Path) -> nn.Module:
    """The shipped network of a folder of models, with its weights."""
    spec = importlib.util.spec_from_file_location("net", folder / "net.py")
    assert spec is not None and spec.loader is not None
    net = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(net)
    module = net.resnet()
    module.load_state_dict(load_file(folder / "source.safetensors"))
    return module.eval()


def pruned(folder: Path, example: torch.Tensor) -> nn.Module:
    """Its half-width network, not yet trained again."""
    module = source(folder)
    torch_pruning.pruner.BasePruner(
        module,
        example,
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=0.5,
        ignored_layers=[module.head],
    ).step()
    return module
