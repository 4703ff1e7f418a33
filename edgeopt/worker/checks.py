"""Whether a pass kept its promise: parent and child answer the same real samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.schema.artifact import Artifact, Description, Tensor
from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import PassError
from edgeopt.schema.job import Arrays, Outcome, Request
from edgeopt.step import Promise
from edgeopt.store import Store

if TYPE_CHECKING:
    import numpy as np

    from edgeopt.worker.handlers import Progress


@dataclass(frozen=True)
class Gap:
    """The largest difference of one output: absolute, relative to max|parent|, and where."""

    tensor: str
    max_abs: float
    max_rel: float
    sample: int
    held: bool


def check_promise(request: Request, store: Store, progress: Progress) -> tuple[str, dict[str, Any]]:
    """Run parent and child on the same first n samples and compare outputs by position.

    Raises PassError naming the pass, the tensor and the worst sample.
    """
    job = request.job
    promise = Promise.model_validate(job.params["promise"])
    n = int(job.params["n"])
    parent, before = _answers(request, "parent", "samples", n, store)
    progress(1, 2)
    child, after = _answers(request, "child", "child_samples", n, store)
    progress(2, 2)
    if len(before) != len(after):
        raise PassError(f"{job.name} changed {len(before)} outputs into {len(after)}", where=job.id)
    gaps = [
        _gap(job.name, promise, old, a, new, b)
        for old, a, new, b in zip(
            parent.signature.outputs, before, child.signature.outputs, after, strict=True
        )
    ]
    for gap in gaps:
        if not gap.held:
            raise PassError(
                f"{job.name} broke its promise, {promise}: output '{gap.tensor}' differs by "
                f"{gap.max_abs:.4g} ({gap.max_rel:.2g} of its largest value) at sample "
                f"{gap.sample}",
                where=job.id,
            )
    count = len(after[0])
    max_abs, max_rel = max(gap.max_abs for gap in gaps), max(gap.max_rel for gap in gaps)
    value = {
        "max_abs": max_abs,
        "max_rel": max_rel,
        "n": count,
        "sentence": f"{promise} held on {count} samples: at most {max_abs:.3g} apart"
        if max_abs
        else f"{promise} held on {count} samples: all values equal",
    }
    return digest_of(value), value


def _answers(
    request: Request, role: str, samples: str, n: int, store: Store
) -> tuple[Description, list[np.ndarray]]:
    """Description and outputs of one side, in the signature's order, (n, ...) each."""
    from edgeopt.data.quantized import dequantized
    from edgeopt.formats import format_named

    outcome: Outcome = request.inputs[role]
    description = Description.model_validate(outcome.value["description"])
    folder = Path(request.workdir) / role
    store.checkout(Artifact.model_validate(outcome.value["artifact"]), folder)
    arrays = Arrays.model_validate(request.inputs[samples].value).arrays
    feeds = {name: store.get_array(ref)[:n] for name, ref in arrays.items()}
    size = description.signature.batch or min(len(feed) for feed in feeds.values())
    outputs = _in_batches(format_named(description.format), folder, feeds, size)
    return description, [
        dequantized(outputs[tensor.name], tensor) for tensor in description.signature.outputs
    ]


def _in_batches(
    fmt: Any, folder: Path, feeds: Mapping[str, np.ndarray], size: int
) -> dict[str, np.ndarray]:
    """Outputs for all samples, ``size`` at a time; the last sample fills up the last batch."""
    import numpy as np

    n = min(len(feed) for feed in feeds.values())
    parts: dict[str, list[np.ndarray]] = {}
    for start in range(0, n, size):
        rows = np.minimum(np.arange(start, start + size), n - 1)
        batch = {name: np.ascontiguousarray(feed[rows]) for name, feed in feeds.items()}
        for name, output in fmt.run(folder, batch).items():
            parts.setdefault(name, []).append(output[: n - start])
    return {name: np.concatenate(part) for name, part in parts.items()}


def _gap(
    name: str, promise: Promise, old: Tensor, a: np.ndarray, new: Tensor, b: np.ndarray
) -> Gap:
    """The gap between parent's output ``a`` and child's ``b``. Raises PassError where they
    cannot be compared: other shapes, or values that are no finite numbers."""
    import numpy as np

    a, b = _channels_first(old, a), _channels_first(new, b)
    if a.shape != b.shape:
        raise PassError(f"{name} changed output '{new.name}' from {a.shape} to {b.shape}")
    for tensor, side in ((old, a), (new, b)):
        if side.dtype.kind not in "biuf":
            raise PassError(f"output '{tensor.name}' of dtype {side.dtype} cannot be compared")
        finite = np.isfinite(side).reshape(len(side), -1).all(axis=1)
        if not finite.all():
            sample = int(np.argmin(finite))
            raise PassError(f"output '{tensor.name}' is not finite at sample {sample} ({name})")
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    apart = np.abs(wide_a - wide_b).reshape(len(a), -1).max(axis=1, initial=0.0)
    largest, worst = float(np.abs(wide_a).max(initial=0.0)), int(np.argmax(apart))
    max_abs = float(apart[worst])
    held = {
        "exact": a.dtype == b.dtype and a.tobytes() == b.tobytes(),
        "close": max_abs <= promise.atol + promise.rtol * largest,
        "approximate": True,
    }[promise.kind]
    relative = max_abs / largest if largest else (0.0 if max_abs == 0.0 else 1.0)
    return Gap(tensor=new.name, max_abs=max_abs, max_rel=relative, sample=worst, held=held)


def _channels_first(tensor: Tensor, values: np.ndarray) -> np.ndarray:
    return values.transpose(0, 3, 1, 2) if tensor.layout == "NHWC" and values.ndim == 4 else values
