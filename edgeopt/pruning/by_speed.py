"""The widest network that is measured to reach a speed-up, where no recipe names a target.

Networks are exported to ONNX and race the whole one in ONNX Runtime, FP32, on one thread of this
machine.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from edgeopt.bench.race import SCHEDULES, race
from edgeopt.bench.task import Side, Task
from edgeopt.schema.artifact import Artifact
from edgeopt.schema.errors import PassError
from edgeopt.schema.job import Arrays
from edgeopt.schema.target import Target
from edgeopt.search.table import GRID, Width, widest
from edgeopt.store import Store
from edgeopt.transport.kinds import device_named

HERE = Target(device="local", runtime="onnxruntime")
FEW = 16  # samples that a race is fed

Build = Callable[[float], Any]  # the fraction of MACs to keep -> a pruned module


def fraction_for(
    speedup: float, module: Any, build: Build, inputs: Mapping[str, Any], progress: Any
) -> float:
    """The greatest fraction of the multiply-accumulates that reaches ``speedup``.

    ``inputs`` are tensors by input, (b, ...) each. Raises PassError where no width reaches it,
    naming how far the fastest gets.
    """
    with tempfile.TemporaryDirectory(prefix="edgeopt-") as place, Store(f"{place}/store") as store:
        folder = Path(place)
        samples = _kept(inputs, store)
        whole = _exported(module, inputs, folder / "whole", store)
        widths = []
        for number, fraction in enumerate(GRID):
            narrow = _exported(build(fraction), inputs, folder / f"{number}", store)
            task = Task({"a": Side(HERE, narrow, samples), "b": Side(HERE, whole, samples)})
            with device_named("local").lease(folder, exclusive=True) as lease:
                _, value = race(task, lease, store, SCHEDULES["short"], lambda *_, **__: None)
            ratio = value["ratio"]["latency.p50"]
            widths.append(Width(fraction, fraction, ratio["value"], ratio["low"], ratio["high"]))
            progress(number + 1, len(GRID), macs=fraction, ratio=ratio["value"])
    reaching = widest(widths, 1 / speedup)
    if reaching is None:
        best = 1 / min(width.ratio for width in widths)
        raise PassError(
            f"no width reaches {speedup:g}x: the fastest reaches {best:.2f}x",
            where="prune-structured",
        )
    return reaching.fraction


def _kept(inputs: Mapping[str, Any], store: Store) -> Arrays:
    arrays = {
        name: store.put_array(tensor[:FEW].detach().cpu().numpy())
        for name, tensor in inputs.items()
    }
    n = min(ref.shape[0] for ref in arrays.values())
    return Arrays(split="samples", n=n, arrays=arrays)


def _exported(module: Any, inputs: Mapping[str, Any], folder: Path, store: Store) -> Artifact:
    """The module as ONNX in the store, its batch free. Raises PassError."""
    folder.mkdir()
    shapes = {name: {0: torch.export.Dim("batch", min=1)} for name in inputs}
    few = {name: tensor[:2].detach().cpu() for name, tensor in inputs.items()}
    try:
        torch.onnx.export(
            module, kwargs=few, f=str(folder / "model.onnx"), dynamo=True, dynamic_shapes=shapes,
            verbose=False, external_data=False,
        )  # fmt: skip
    except Exception as error:
        raise PassError(f"the module cannot be exported to ONNX, to time it: {error}") from error
    return store.put_artifact(folder, "onnx")
