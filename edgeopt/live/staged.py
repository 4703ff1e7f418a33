"""From a live model and its data to a recipe that workers can run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.live import program, samples
from edgeopt.live.states import untouched
from edgeopt.recipe.bare import NEAR
from edgeopt.schema.errors import UsageError
from edgeopt.schema.event import Event
from edgeopt.store import Store

EXAMPLES = 2
SOURCE = "live"  # what a result's recipe says where samples came from the caller's process


def stage(
    model: Any,
    data: Any,
    folder: Path,
    store: Store,
    on_event: Callable[[Event], None],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of a recipe (``model``, ``data``) and the kept arrays, ``SPLIT.ARRAY`` -> ref.

    The program is written below ``folder``. All random states are put back. Raises
    ModelError, DataError, UsageError.
    """
    if data is None:
        raise UsageError(
            "no data: candidates are chosen by what they answer on real samples",
            hint=f"pass data=: {samples.FORMS}",
        )
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    names = program.input_names(model)
    on_event(Event(what="phase", text="Reading samples and tracing the model"))

    def tell(count: int) -> None:
        on_event(Event(what="progress", job="data", done=count, total=None))

    with untouched(model, data):
        read = samples.read(data, names, tell)
        example = {name: read["validation"][name][:EXAMPLES] for name in names}
        while len(next(iter(example.values()))) < EXAMPLES:
            example = {name: np.concatenate([array, array]) for name, array in example.items()}
        program.save(model, example, folder / f"{type(model).__name__}.pt2")
    held = {
        f"{split}.{name}": store.put_array(array).to_json()
        for split, arrays in read.items()
        for name, array in arrays.items()
    }
    labelled = all(samples.LABEL in arrays for arrays in read.values())
    fields = {
        "model": {"path": str(folder / f"{type(model).__name__}.pt2")},
        "data": {
            "source": SOURCE,
            "inputs": {name: name for name in names},
            "label": samples.LABEL if labelled else None,
            "layout": _layout(read["validation"], names),
            "splits": {split: split for split in read},
        },
    }
    return fields, held


def defaults(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What is tried where the caller does not say it: every runtime found, INT8 and FP16."""
    exports = ["export-onnx", *(["export-tflite"] if find_spec("litert_torch") else [])]
    kept = NEAR
    if fields["data"]["label"] is not None:
        kept = "accuracy >= source - 1.0pt"
    choices: list[Any] = ["none", "fp16"]
    if "calibration" in fields["data"]["splits"]:
        choices.insert(1, {"quantize-int8": {"scheme": "auto"}})
    return {
        "targets": ["local/*"],
        "constraints": [kept],
        "passes": [{"one_of": exports}, "simplify-onnx", {"one_of": choices}],
    }


def _layout(arrays: Mapping[str, Any], names: list[str]) -> str | None:
    """NCHW where an input looks like an image: a torch model takes them so."""
    shapes = [arrays[name].shape for name in names]
    return "NCHW" if any(len(s) == 4 and s[1] in (1, 3, 4) for s in shapes) else None
