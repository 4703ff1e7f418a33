"""Networks of which the quantizer takes a part: candidates are made, and notes name the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from e2e_project import Project
from onnx import numpy_helper, parser

GRAPH = """<ir_version: 8, opset_import: ["" : 17]>
g (float[batch,8,12] x) => (float[batch,8,12] y) {
    a = MatMul(x, w)
    [norm] n = LayerNormalization<axis=1>(a, s, s)
    m = Add(n, mask)
    p = Softmax(m)
    h = ReduceMax<keepdims=0>(x)
    k = Less(h, most)
    [choice] c = If(k) <
        then_branch = f () => (float[batch,8,12] d) { d = Neg(p) },
        else_branch = g () => (float[batch,8,12] e) { e = Tanh(p) }>
    y = MatMul(c, w)
}"""
RECIPE = """\
model: net.onnx
data: {source: samples.npz, splits: {calibration: "samples[:16]", validation: "samples[16:]"}}
passes: [{one_of: [none, {quantize-int8: {scheme: u8s8-safe}}]}]
"""


def test_notes_name_what_stays_in_float(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = parser.parse_model(GRAPH)
    held = {
        "w": rng.normal(0, 0.3, (12, 12)),
        "s": rng.normal(1, 0.1, (8, 12)),
        "mask": np.where(np.arange(12) < 9, 0.0, -np.inf),
        "most": np.array(1e3),
    }
    model.graph.initializer.extend(
        numpy_helper.from_array(values.astype(np.float32), name) for name, values in held.items()
    )
    onnx.save(model, tmp_path / "net.onnx")
    np.savez(tmp_path / "samples.npz", x=rng.normal(size=(48, 8, 12)).astype(np.float32))
    project = Project(tmp_path, tmp_path / "store")
    project.write(RECIPE)
    done = project.run("optimize", "recipe.yaml", "--no-bench", "--json", "--out", "out")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [c["status"] for c in result["targets"][0]["candidates"]] == ["unmeasured", "unmeasured"]
    told = [note for note in result["notes"] if "in float32" in note]
    assert len(told) == 4, result["notes"]
    assert told[0] == "quantize-int8 leaves the bodies of If 'choice' (Neg, Tanh) in float32"
    norm = "quantize-int8 leaves LayerNormalization 'norm' in float32: ONNX Runtime's quantizer"
    assert told[1].startswith(norm)
    assert [note.split("'")[0] + note.rpartition(":")[2] for note in told[2:]] == [
        f"quantize-int8 leaves {op}  its values reach inf, as masks do" for op in ("Add", "Softmax")
    ]
