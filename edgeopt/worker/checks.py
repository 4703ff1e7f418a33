"""Whether a pass kept its promise, on real samples, and whether answers are sound at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeopt.answers.outputs import without_shared_infinities
from edgeopt.schema.artifact import Tensor
from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import ModelError, PassError
from edgeopt.schema.job import NODE_BY_NODE, Job, Request
from edgeopt.step import Promise
from edgeopt.store import Store
from edgeopt.worker.answers import answering
from edgeopt.worker.guards import confused, constant, entangled, unsteady
from edgeopt.worker.rounding import EXPLAINED, noise

if TYPE_CHECKING:
    from edgeopt.worker.handlers import Progress

PROMISED = {  # kind of promise -> its bound, in words
    "exact": "equal to the bit",
    "close": "within {atol:g} + {rtol:g} of the largest value",
    "approximate": "finite and sound outputs, with no bound on how far off; accuracy is scored "
    "afterwards",
}


@dataclass(frozen=True)
class Gap:
    """The largest difference of one output: absolute, relative to max|parent|, and where.

    ``rounded``: held only because the parent itself moves as far by rounding.
    """

    tensor: str
    max_abs: float
    max_rel: float
    sample: int
    held: bool
    rounded: bool = False


def check(request: Request, store: Store, progress: Progress) -> tuple[str, dict[str, Any]]:
    """Whether a pass kept its promise; without a ``child``, whether the source answers soundly.

    Raises PassError, or ModelError for the source, naming the tensor and the worst sample.
    """
    if request.job.name == NODE_BY_NODE:
        from edgeopt.worker.plain import node_by_node  # loads ONNX Runtime

        return node_by_node(request, store)
    if "child" in request.inputs:
        return _check_pass(request, store, progress)
    source = answering(request, "model", "samples", store)
    outputs = source.outputs()
    for tensor, values in zip(source.tensors, outputs, strict=True):
        _check_source_numbers(tensor, values, request.job.id)
    notes = []
    for finding in (
        unsteady(source, outputs),
        entangled(source, outputs),
        constant(source, outputs),
    ):
        if finding and finding.fatal:
            raise ModelError(f"the source {finding.what}", where=request.job.id, hint=finding.hint)
        if finding:
            notes.append(f"the source {finding.what}: {finding.hint}")
    same = "" if notes else f", and the same alone and in a batch of {source.n}"
    if source.description.format == "onnx":
        from edgeopt.worker.plain import leaves_its_graph  # loads ONNX Runtime

        warning = leaves_its_graph(source, outputs, Path(request.workdir) / "model")
        notes += [warning] if warning else []
    value: dict[str, Any] = {"n": source.n, "sentence": f"steady{same}"}
    value |= {"notes": notes} if notes else {}
    return digest_of(value), value


def _check_pass(request: Request, store: Store, progress: Progress) -> tuple[str, dict[str, Any]]:
    """Run parent and child on the same first n samples and compare outputs by position."""
    job = request.job
    promise = Promise.model_validate(job.params["promise"])
    parent = answering(request, "parent", "samples", store)
    before = parent.outputs()
    progress(1, 3)
    child = answering(request, "child", "child_samples", store)
    after = child.outputs()
    progress(2, 3)
    if len(before) != len(after):
        raise PassError(f"{job.name} changed {len(before)} outputs into {len(after)}", where=job.id)
    for tensor, side in (*zip(parent.tensors, before, strict=True),
                         *zip(child.tensors, after, strict=True)):  # fmt: skip
        _check_numbers(job.name, tensor, side)
    old = [_channels_first(t, a) for t, a in zip(parent.tensors, before, strict=True)]
    new = [_channels_first(t, a) for t, a in zip(child.tensors, after, strict=True)]
    for finding in (
        unsteady(child, after),
        entangled(child, after),
        constant(child, after, parent, before),
        confused(child, parent.tensors, old, new),
    ):
        if finding and finding.fatal:
            raise PassError(
                f"{job.name} made a model that {finding.what}", where=job.id, hint=finding.hint
            )
    progress(3, 3)
    gaps = [
        _gap(job.name, promise, t, a, b) for t, a, b in zip(child.tensors, old, new, strict=True)
    ]
    if promise.kind == "close" and not all(gap.held for gap in gaps):
        gaps = _rounded(gaps, noise(parent, before))
    value = _kept(job, promise, gaps, len(after[0]))
    return digest_of(value), value


def _rounded(gaps: list[Gap], steps: list[float]) -> list[Gap]:
    """Gaps, of which those are held that the rounding of the parent's inputs makes too."""
    return [
        gap if gap.held or gap.max_abs > EXPLAINED * step else replace(gap, held=True, rounded=True)
        for gap, step in zip(gaps, steps, strict=True)
    ]


def _kept(job: Job, promise: Promise, gaps: list[Gap], n: int) -> dict[str, Any]:
    """What is told of a promise that held. Raises PassError for one that did not."""
    for gap in gaps:
        if not gap.held:
            raise PassError(
                f"{job.name} broke its promise, {promise}: output '{gap.tensor}' differs by "
                f"{gap.max_abs:.4g} ({gap.max_rel:.2g} of its largest value) at sample "
                f"{gap.sample}",
                where=job.id,
            )
    max_abs, max_rel = max(gap.max_abs for gap in gaps), max(gap.max_rel for gap in gaps)
    apart = f"all values equal on {n} samples"
    if max_abs:
        share = f"{max_rel:.2g} of the largest value"
        apart = f"outputs at most {max_abs:.3g} off on {n} samples, {share}"
    if lost := [gap.tensor for gap in gaps if gap.rounded]:
        apart += f", which is what rounding does to '{lost[0]}' of its parent"
    bound = PROMISED[promise.kind].format(atol=promise.atol, rtol=promise.rtol)
    return {
        "max_abs": max_abs,
        "max_rel": max_rel,
        "n": n,
        "sentence": f"{apart}; promised: {bound}",
    }


def _check_numbers(name: str, tensor: Tensor, values: np.ndarray) -> None:
    """Raise PassError for NaN, and for what is no number at all."""
    if values.dtype.kind not in "biuf":
        raise PassError(f"output '{tensor.name}' of dtype {values.dtype} cannot be compared")
    sample = _first_nan(values)
    if sample is not None:
        raise PassError(f"output '{tensor.name}' is NaN at sample {sample} ({name})")


def _check_source_numbers(tensor: Tensor, values: np.ndarray, where: str) -> None:
    """Raise ModelError for NaN of the source; infinities may be masks."""
    sample = _first_nan(values)
    if sample is not None:
        raise ModelError(
            f"the source gives NaN: output '{tensor.name}' at sample {sample}",
            where=where,
            hint="look at its weights, and at the preprocessing of the samples",
        )


def _first_nan(values: np.ndarray) -> int | None:
    if values.dtype.kind != "f":
        return None
    bad = np.isnan(values).reshape(len(values), -1).any(axis=1)
    return int(np.argmax(bad)) if bad.any() else None


def _gap(name: str, promise: Promise, tensor: Tensor, a: np.ndarray, b: np.ndarray) -> Gap:
    """The gap of parent's output ``a`` and child's ``b``.

    Raises PassError for other shapes, and for an infinity that one of them alone has.
    """
    if a.shape != b.shape:
        raise PassError(f"{name} changed output '{tensor.name}' from {a.shape} to {b.shape}")
    try:
        wide_a, wide_b = without_shared_infinities(
            a.astype(np.float64), b.astype(np.float64), tensor.name
        )
    except ModelError as error:
        raise PassError(f"{name}: {error.what}", hint=error.hint) from None
    apart = np.abs(wide_a - wide_b).reshape(len(a), -1).max(axis=1, initial=0.0)
    largest, worst = float(np.abs(wide_a).max(initial=0.0)), int(np.argmax(apart))
    max_abs = float(apart[worst])
    held = {
        "exact": a.dtype == b.dtype and a.tobytes() == b.tobytes(),
        "close": max_abs <= promise.atol + promise.rtol * largest,
        "approximate": True,
    }[promise.kind]
    relative = max_abs / largest if largest else (0.0 if max_abs == 0.0 else 1.0)
    return Gap(tensor=tensor.name, max_abs=max_abs, max_rel=relative, sample=worst, held=held)


def _channels_first(tensor: Tensor, values: np.ndarray) -> np.ndarray:
    return values.transpose(0, 3, 1, 2) if tensor.layout == "NHWC" and values.ndim == 4 else values
