"""An ONNX file run node by node: what its integers stand for, whatever kernels a CPU has.

With all optimizations of ONNX Runtime off, a DequantizeLinear, a float32 operator and a
QuantizeLinear stay three nodes, so no sum of 8-bit products is made and none can saturate.
A source is scored as ONNX Runtime fuses it; where that leaves its graph, a note says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.formats.onnx import files
from edgeopt.formats.onnx.format import FORMAT, MODEL
from edgeopt.formats.onnx.steps import output_steps
from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import ModelError
from edgeopt.schema.job import Arrays, Request
from edgeopt.store import Store
from edgeopt.worker.answers import Answering, samples_of
from edgeopt.worker.guards import allowed, apart, largest_of
from edgeopt.worker.rounding import EXPLAINED, noise

BATCH = 32
STEPS = 4  # of quantization, that fused kernels may be off
STEP = 0.01  # of an output's largest value, where the output itself is not quantized


def node_by_node(request: Request, store: Store) -> tuple[str, dict[str, Any]]:
    """Real values of every output, (n, ...) each: ``{"outputs": {name: ArrayRef}, "n"}``.

    Raises ModelError.
    """
    given = request.inputs["model"].value
    folder = Path(request.workdir) / "model"
    store.checkout(Artifact.model_validate(given["artifact"]), folder)
    arrays = Arrays.model_validate(request.inputs["samples"].value)
    n = int(request.job.params["n"])
    model = Answering(
        Description.model_validate(given["description"]),
        FORMAT.runner(folder, fused=False),
        {name: array[:n] for name, array in samples_of(arrays, store).items()},
        axes=arrays.axes,
    )
    outputs = zip(model.tensors, model.outputs(size=BATCH), strict=True)
    refs = {tensor.name: store.put_array(values).to_json() for tensor, values in outputs}
    return digest_of(refs), {"outputs": refs, "n": model.n}


def leaves_its_graph(source: Answering, outputs: Sequence[np.ndarray], folder: Path) -> str:
    """What to tell of an ONNX source whose fused session answers otherwise than its graph.

    Quantized ones are compared on all samples that there are, in quantization steps: of the
    output, or else of 1% of its largest value; others on the first, within what float32 sums may
    differ by, unless the rounding of the inputs explains it. Empty where they agree, and where the
    graph cannot be run node by node.
    """
    quantized = source.description.quantized
    feeds = source.pool if quantized and source.pool else source.feeds
    try:
        runner = FORMAT.runner(folder, fused=False)
        plain = Answering(source.description, runner, feeds, axes=source.axes)
        there = plain.outputs(size=BATCH)
    except ModelError:
        return ""
    here = source.outputs(feeds, size=BATCH) if quantized else outputs
    steps = output_steps(files.read(folder / MODEL, small_data=True)) if quantized else {}
    for place, (tensor, a, b) in enumerate(zip(source.tensors, here, there, strict=True)):
        off, sample = apart(a, b)
        largest = largest_of(b)
        step = steps.get(tensor.name, STEP * largest)
        if off <= (STEPS * step if quantized else allowed(source, largest)):
            continue
        if not quantized and off <= EXPLAINED * noise(source, outputs)[place]:
            continue
        measure = f"{off / (step or 1.0):.1f} quantization steps" if quantized else (
            f"{off / (largest or 1.0):.2g} of its largest value"
        )  # fmt: skip
        return (
            f"the source as ONNX Runtime runs it, its nodes fused, answers differently from "
            f"its graph run node by node: output '{tensor.name}' by {off:.3g} ({measure}) at "
            f"sample {sample}. All candidates are compared with the fused answers"
        )
    return ""
