"""Quantization-aware training of a module: lay out, observe, train, freeze."""

from __future__ import annotations

import re
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from edgeopt.agent import fakequant, traced
from edgeopt.agent.fakequant import Layout
from edgeopt.formats.torch.untraced import batch_hint, root_cause
from edgeopt.models.conversion import FLOAT, left_in_float
from edgeopt.quantization import trained
from edgeopt.schema.errors import PassError

LARGEST_CODE = 127  # of a weight
LARGEST_REDUCED = 64  # two products of these and of uint8 fit into 16 bits
SHORT_SUM = 32  # products of a sum, below which integer kernels gain nothing
Inputs = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Schedule:
    """When norms and ranges stop moving: shares of the steps."""

    freeze_norms: float
    freeze_ranges: float

    def __call__(self, module: nn.Module, step: int, total: int) -> None:
        """Before a step: what of the module may still move."""
        ranges = "follow" if step < self.freeze_ranges * total else "fixed"
        trained.set_phase(module, ranges, batch_stats=step < self.freeze_norms * total)


def quantization_trained(
    module: nn.Module,
    inputs: Inputs,
    *,
    scheme: str,
    float_stem: bool,
    learned: bool,
    momentum: float,
    observed: Iterable[Mapping[str, Any]],
    train: Callable[[nn.Module], None],
) -> tuple[nn.Module, dict[str, Any]]:
    """The frozen module and its record for ``edits.json``.

    ``inputs``: ``{name: {"shape": ["batch", ...], "dtype": ...}}``. ``observed`` are batches by
    input that show first ranges; ``train`` trains the module it gets, in place. Raises PassError
    for a module that cannot be traced, or that has nothing to quantize.
    """
    layout, record = prepared_layout(module, inputs, scheme=scheme, float_stem=float_stem)
    largest = LARGEST_REDUCED if scheme.endswith("-reduced") else LARGEST_CODE
    training_form = trained.trained_form(layout, learned, momentum, largest)
    trained.observe(training_form, observed)
    trained.set_phase(training_form, "follow", batch_stats=False)
    train(training_form)
    return frozen_form(module, record, training_form), record


def prepared_layout(
    module: nn.Module, inputs: Inputs, *, scheme: str, float_stem: bool
) -> tuple[Layout, dict[str, Any]]:
    """Where a module is quantized, and the record of it. Raises PassError as
    ``quantization_trained`` does."""
    joined = fakequant.one_grid(scheme)
    layout = _laid_out(module, inputs, (), joined)
    floats = stems(layout) if float_stem else ()
    if floats:
        layout = _laid_out(module, inputs, floats, joined)
    if not any(layer.quantized for layer in layout.layers):
        raise _nothing(module, floats)
    record = {
        "edit": "fake-quantize",
        "scheme": scheme,
        "float": list(floats),
        "inputs": {name: dict(said) for name, said in inputs.items()},
    }
    return layout, record


def frozen_form(module: nn.Module, record: Mapping[str, Any], trained_form: Any) -> nn.Module:
    """The frozen module with what was trained, or given."""
    frozen = fakequant.quantized_form(module, record)
    frozen.load_state_dict(trained.frozen_state(trained_form, frozen))
    return frozen


def _nothing(module: nn.Module, floats: tuple[str, ...]) -> PassError:
    """Why no layer is quantized."""
    weights: Counter[tuple[str, str]] = Counter()
    for layer in module.modules():
        kind = type(layer).__name__
        if not (floats and "Conv" in kind):
            weights[kind, FLOAT] += sum(p.numel() for p in layer.parameters(recurse=False))
    hint = "qat quantizes convolutions over one or two axes, and linear layers."
    return PassError(
        f"no operator with weights could be quantized: {left_in_float(weights, 'qat', floats)}",
        hint="say 'float_stem: false' to quantize it too" if floats else hint,
    )


def stems(layout: Layout) -> tuple[str, ...]:
    """Names of the first convolutions whose sums are short."""
    below: set[Any] = set()  # nodes that a weighted operator stands before
    names = []
    layers = {layer.node: layer for layer in layout.layers}
    for node in layout.graph_module.graph.nodes:
        after = any(before in below for before in node.all_input_nodes)
        if node.target in fakequant.WEIGHTED:
            grouped = len(node.args) > 6 and node.args[6] != 1
            if node in layers and not after and not grouped:  # the others may compute weights
                weight = traced.attribute(layout.graph_module, node.args[1].target)
                if weight.dim() > 2 and weight[0].numel() < SHORT_SUM:
                    names.append(layers[node].name)
        if after or node.target in fakequant.WEIGHTED:
            below.add(node)
    return tuple(names)


def _laid_out(module: nn.Module, inputs: Inputs, floats: tuple[str, ...], joined: bool) -> Layout:
    try:
        return fakequant.laid_out(module, inputs, floats, joined)
    except Exception as error:  # torch.export raises what it meets
        raise untraceable(error) from error


def untraceable(error: Exception) -> PassError:
    """torch's error in one line, with the line of the user's code where it says so."""
    cause = root_cause(error)
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    what = lines[0] if lines else type(cause).__name__
    at = next((line for line in _user_lines(error)), "")
    hint = batch_hint(cause)
    if hint:
        what = next((line.removeprefix("- ") for line in lines if line.startswith("- ")), what)
    hint = hint or "qat needs forward() to be traceable by torch.export: no branches on values."
    return PassError(f"torch cannot trace the module: {what}", where=at, hint=hint)


def _user_lines(error: BaseException | None) -> list[str]:
    """``FILE:LINE in FUNCTION`` of the user's code in a traceback, the innermost first."""
    if error is None:
        return []
    lines = [
        f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not {"site-packages", "edgeopt"} & set(Path(frame.filename).parts)
        and frame.filename.endswith(".py")
    ]
    said = re.findall(r'File "([^"]+)", line (\d+), in (\w+)', str(error))
    lines += [
        f"{Path(file).name}:{line} in {name}"
        for file, line, name in said
        if "site-packages" not in file
    ]
    return [*lines[::-1], *_user_lines(error.__cause__)]
