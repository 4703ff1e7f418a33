"""From a live model and its data to a recipe that workers can run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.live import is_tensorflow, samples
from edgeopt.live.states import untouched
from edgeopt.recipe.space import space
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
    tensorflow = is_tensorflow(model)
    program = import_module(f"{__package__}.{'tensorflow_program' if tensorflow else 'program'}")
    names = program.input_names(model)
    on_event(Event(what="phase", text="Reading samples and tracing the model"))

    def tell(count: int) -> None:
        on_event(Event(what="progress", job="data", done=count, total=None))

    with untouched(model, data):
        read = samples.read(data, names, tell)
        path = program.save(model, _examples(read["validation"], names), folder)
    held = {
        f"{split}.{name}": store.put_array(array).to_json()
        for split, arrays in read.items()
        for name, array in arrays.items()
    }
    labelled = all(samples.LABEL in arrays for arrays in read.values())
    fields = {
        "model": {"path": str(path)},
        "data": {
            "source": SOURCE,
            "inputs": {name: name for name in names},
            "label": samples.LABEL if labelled else None,
            "layout": _layout(read["validation"], names, last=tensorflow),
            "splits": {split: split for split in read},
        },
    }
    return fields, held


def defaults(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What is tried where the caller does not say it: every runtime found, INT8 and FP16."""
    fmt = "torch" if str(fields["model"]["path"]).endswith(".pt2") else "keras"
    return space(fmt, fields["data"], classes=fields["data"]["label"] is not None)


def _examples(arrays: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """A few samples by input, at least two."""
    example = {name: arrays[name][:EXAMPLES] for name in names}
    while len(next(iter(example.values()))) < EXAMPLES:
        example = {name: np.concatenate([array, array]) for name, array in example.items()}
    return example


def _layout(arrays: Mapping[str, Any], names: list[str], *, last: bool) -> str | None:
    """Where an input looks like an image: channels first, as torch takes them, or ``last``."""
    shapes = [arrays[name].shape for name in names]
    axis = 3 if last else 1
    found = any(len(s) == 4 and s[axis] in (1, 3, 4) for s in shapes)
    return ("NHWC" if last else "NCHW") if found else None
