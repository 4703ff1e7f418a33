"""What versions of ONNX Runtime read: the newest opset and IR version, by giving them files.

    python benchmarks/runtime_versions.py VERSION...

Each is installed with numpy into a folder that is deleted at the end, for the Python that runs it.
Prints what stands under ``reads`` in ``edgeopt/agent/sessions/onnxruntime.json``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx
from onnx import TensorProto, helper

OPSETS, IRS = range(15, 30), range(7, 16)
PROBE = """
import glob, json, os, sys
sys.path.insert(0, sys.argv[1])
import onnxruntime
onnxruntime.set_default_logger_severity(4)
read = []
for file in glob.glob(os.path.join(sys.argv[2], "*.onnx")):
    try:
        onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        read.append(os.path.basename(file)[:-5])
    except Exception:
        pass
print(json.dumps(read))
"""


def write(folder: Path, name: str, opset: int, ir: int) -> None:
    """A file of one Identity."""
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    onnx.save(model, folder / f"{name}.onnx")


def main() -> None:
    """Install, ask, print."""
    if not sys.argv[1:]:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for opset in OPSETS:
            write(folder, f"opset-{opset}", opset, 8)
        for ir in IRS:
            write(folder, f"ir-{ir}", 15, ir)
        for version in sys.argv[1:]:
            old = tuple(map(int, version.split(".")[:2])) < (1, 19)
            numpy = "numpy==1.26.4" if old else "numpy==2.2.6"
            target = str(folder / version)
            install = ["install", "--quiet", "--no-deps", "--target", target]
            subprocess.run(
                [sys.executable, "-m", "pip", *install, f"onnxruntime=={version}", numpy],
                check=True,
            )
            done = subprocess.run(
                [sys.executable, "-S", "-c", PROBE, target, name],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            read = [each.split("-") for each in json.loads(done.stdout.splitlines()[-1])]
            most = {kind: max(int(n) for k, n in read if k == kind) for kind in ("opset", "ir")}
            print(f'"{version}": {json.dumps(most)}', flush=True)


if __name__ == "__main__":
    main()
