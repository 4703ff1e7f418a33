"""An ONNX file run node by node: what its integers stand for, whatever kernels a CPU has.

With all optimizations of ONNX Runtime off, a DequantizeLinear, a float32 operator and a
QuantizeLinear stay three nodes, so no sum of 8-bit products is made and none can saturate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.base import digest_of
from edgeopt.schema.job import Arrays, Request
from edgeopt.store import Store
from edgeopt.worker.answers import Answering

BATCH = 32


def node_by_node(request: Request, store: Store) -> tuple[str, dict[str, Any]]:
    """Real values of every output, (n, ...) each: ``{"outputs": {name: ArrayRef}, "n"}``.

    Raises ModelError.
    """
    from edgeopt.formats.onnx import FORMAT

    given = request.inputs["model"].value
    folder = Path(request.workdir) / "model"
    store.checkout(Artifact.model_validate(given["artifact"]), folder)
    arrays = Arrays.model_validate(request.inputs["samples"].value).arrays
    n = int(request.job.params["n"])
    model = Answering(
        Description.model_validate(given["description"]),
        FORMAT.runner(folder, fused=False),
        {name: store.get_array(ref)[:n] for name, ref in arrays.items()},
    )
    outputs = zip(model.tensors, model.outputs(size=BATCH), strict=True)
    refs = {tensor.name: store.put_array(values).to_json() for tensor, values in outputs}
    return digest_of(refs), {"outputs": refs, "n": model.n}
