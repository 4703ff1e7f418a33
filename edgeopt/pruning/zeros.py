"""Weights set to zero one by one: shapes stay, and so does what dense kernels compute."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from edgeopt.schema.errors import PassError, did_you_mean

Weights = Mapping[str, torch.Tensor]  # path of the layer -> its weight
Masks = dict[str, torch.Tensor]  # path -> bool, True where a weight stays


def weights_of(module: nn.Module, keep: Sequence[str]) -> dict[str, torch.Tensor]:
    """Weights of convolutions and linear layers that are not kept, by path.

    Raises PassError for a name under ``keep`` that is no layer's, for a layer that computes its
    weight, and where nothing is left.
    """
    paths = [path for path, _ in module.named_modules() if path]
    for name in keep:
        if name not in paths:
            raise PassError(
                f"keep names '{name}', which is not a layer", hint=did_you_mean(name, paths)
            )
    weights = {}
    for path, layer in module.named_modules():
        if any(path == name or path.startswith(f"{name}.") for name in keep):
            continue
        if isinstance(layer, _ConvNd | nn.Linear):
            if "weight" not in layer._parameters:
                raise PassError(
                    f"'{path}' computes its weight from other tensors, so zeros would not stay",
                    hint="Remove its parametrization, weight norm for instance, or name it "
                    "under keep.",
                )
            weights[path] = layer.weight.detach()
        elif isinstance(layer, nn.MultiheadAttention) and layer._qkv_same_embed_dim:
            weights[f"{path}.in_proj"] = layer.in_proj_weight.detach()
    if not weights:
        raise PassError("no convolution or linear layer is left to prune")
    return weights


def by_magnitude(weights: Weights, sparsity: float, everywhere: bool) -> Masks:
    """Masks that leave the largest weights: of each tensor, or of all together.

    The number that goes is ``sparsity`` times the size, rounded. Of equals, earlier ones go.
    """
    if not everywhere:
        return {path: _largest(values.abs().flatten(), sparsity).reshape(values.shape)
                for path, values in weights.items()}  # fmt: skip
    whole = _largest(torch.cat([v.abs().flatten() for v in weights.values()]), sparsity)
    masks, start = {}, 0
    for path, values in weights.items():
        masks[path] = whole[start : start + values.numel()].reshape(values.shape)
        start += values.numel()
    return masks


def check_none_empty(masks: Masks) -> None:
    """Raise PassError where a layer would be left without weights, naming it."""
    empty = [path for path, mask in masks.items() if not mask.any()]
    if empty:
        raise PassError(
            f"'{empty[0]}' would keep none of its {masks[empty[0]].numel()} weights",
            hint="Ask for less, say scope: layer, or keep the layer.",
        )


def inputs_axis(layer: nn.Module) -> int:
    """The axis of a layer's weight that its inputs lie along."""
    return 0 if isinstance(layer, _ConvNd) and layer.transposed else 1


def two_of_four(weights: Weights, axes: Mapping[str, int]) -> Masks:
    """Masks that leave the two largest of each four neighbours along the inputs.

    The layout that sparse tensor cores read (Mishra et al., arXiv:2104.08378). ``axes`` are those
    of the inputs where they are not the second. Tensors whose
    inputs are no multiple of four stay whole: they have no mask. Raises PassError where all do.
    """
    masks = {}
    for path, values in weights.items():
        axis = axes.get(path, 1)
        last = values.movedim(axis, -1)  # inputs: (out, ..., in)
        if last.shape[-1] % 4:
            continue
        fours = last.abs().reshape(-1, 4)
        order = fours.argsort(dim=1, descending=True, stable=True)
        stays = torch.zeros_like(fours, dtype=torch.bool).scatter_(1, order[:, :2], True)
        masks[path] = stays.reshape(last.shape).movedim(-1, axis).contiguous()
    if not masks:
        raise PassError("2:4 needs layers whose inputs are a multiple of four; none has")
    return masks


def scheduled(sparsity: float, share: float) -> float:
    """The sparsity when a share of the schedule has passed: a cube's curve, from none to all."""
    return sparsity * (1 - (1 - min(1.0, share)) ** 3)


def apply(weights: Weights, masks: Masks) -> None:
    """Set to zero what does not stay, in place."""
    with torch.no_grad():
        for path, mask in masks.items():
            weights[path].mul_(mask)


def compressed_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Size of tensors as deflate (gzip's method) packs them: where zeros count."""
    packer = zlib.compressobj(6)
    total = sum(
        len(packer.compress(t.detach().cpu().contiguous().numpy().tobytes())) for t in tensors
    )
    return total + len(packer.flush())


def _largest(magnitudes: torch.Tensor, sparsity: float) -> torch.Tensor:
    gone = round(sparsity * magnitudes.numel())
    stays = torch.ones(magnitudes.numel(), dtype=torch.bool, device=magnitudes.device)
    stays[magnitudes.argsort(stable=True)[:gone]] = False
    return stays
