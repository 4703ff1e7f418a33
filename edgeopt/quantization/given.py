"""Quantization with ranges that another library found: no training, the same frozen form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from edgeopt.agent import fakequant
from edgeopt.agent.fakequant import Layout
from edgeopt.quantization import trained
from edgeopt.quantization.found import Found, Grid
from edgeopt.quantization.training import (
    LARGEST_CODE,
    LARGEST_REDUCED,
    Inputs,
    frozen_form,
    prepared_layout,
)


def quantized_as_found(
    module: nn.Module,
    inputs: Inputs,
    found: Found,
    batches: Sequence[Mapping[str, torch.Tensor]],
    *,
    scheme: str,
    float_stem: bool,
) -> tuple[nn.Module, dict[str, Any], int]:
    """The frozen module, its record for ``edits.json``, and how many of its grids were not found.

    Those are grids of values that the library leaves in float, such as what it adds up after a
    convolution; integer runtimes need them, and they get the extremes of ``batches``. Where several
    were found for one grid, it holds them all. Raises PassError as ``prepared_layout`` does.
    """
    layout, record = prepared_layout(module, inputs, scheme=scheme, float_stem=float_stem)
    grids = _by_grid(layout, found.data)
    reduced = scheme.endswith("-reduced")
    form = trained.trained_form(layout, False, 1.0, LARGEST_REDUCED if reduced else LARGEST_CODE)
    trained.observe(form, batches)
    trained.set_phase(form, "fixed", batch_stats=False)
    missing = 0
    for name, each in form.named_modules():
        if isinstance(each, trained.TrainedGrid):
            known = grids.get(name.removeprefix("grids."), [])
            missing += not known
            if known:
                each.give(*_around(known))
        elif isinstance(each, trained.TrainedLayer) and each.quantized and name in found.weights:
            wider = LARGEST_CODE / LARGEST_REDUCED if reduced else 1.0
            each.give(found.weights[name] * wider)
    return frozen_form(module, record, form), record, missing


def _by_grid(layout: Layout, data: Mapping[str, Grid]) -> dict[str, list[Grid]]:
    """What was found for each grid of a layout: of the data of the layers that read from it."""
    places = {node: name for name, nodes in layout.grids.items() for node in nodes}
    grids: dict[str, list[Grid]] = {}
    for layer in layout.layers:
        if layer.quantized and layer.name in data and layer.node.args[0] in places:
            known = grids.setdefault(places[layer.node.args[0]], [])
            known += [data[layer.name]] if data[layer.name] not in known else []
    return grids


def _around(grids: Sequence[Grid]) -> tuple[float, int]:
    """Scale and zero point of a grid that reaches as far as all of these."""
    if len(grids) == 1:
        return grids[0]
    low = min(-grid.zero_point * grid.scale for grid in grids)
    high = max((fakequant.LEVELS - grid.zero_point) * grid.scale for grid in grids)
    scale = (high - low) / fakequant.LEVELS
    return scale, round(-low / scale)
