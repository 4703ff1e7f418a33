"""How long one static INT8 file takes, edgeopt beside its peers: whole processes, in turn.

    python benchmarks/peers_time.py NETWORK FOLDER [--rounds 5] [--peers NAME ...]

FOLDER is that of ``peers.py NETWORK FOLDER``, which has made the environments, the float ONNX file
and the samples. Each process starts from nothing: it imports its libraries, quantizes on 512
samples, or all there are, and writes the file. edgeopt also opens and checks the model, and
compares what it made with the source; its store is empty, its modules are compiled, as pip does
with what it installs. Prints medians and extremes.
"""

from __future__ import annotations

import argparse
import compileall
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import edgeopt

HERE = Path(__file__).resolve().parent
STATIC = {  # peer -> the setting that quantizes activations by calibration
    "onnxruntime": "static-reduced", "olive": "default", "nncf": "default", "onnxsim": "default",
    "neural_compressor": "default", "aimet": "default",
}  # fmt: skip
RECIPE = """\
model: {source}
data: {{source: data.npz, splits: {{calibration: calibration, validation: validation}}}}
targets: [local/onnxruntime]
passes: [{{quantize-int8: {{scheme: u8s8-reduced}}}}]
"""


def commands(
    network: str, folder: Path, rough: Path
) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Command and variables of each: edgeopt, and the peers whose environments are there."""
    place = (folder / network).resolve()
    source, samples = place / "float-onnx" / "model.onnx", place / "calibration-onnx.npz"
    with np.load(samples) as held, np.load(place / "validation-onnx.npz") as other:
        arrays = {f"calibration.{n}": held[n] for n in held.files}
        arrays |= {f"validation.{n}": other[n][:16] for n in other.files}
    np.savez(rough / "data.npz", **arrays)
    (rough / "recipe.yaml").write_text(RECIPE.format(source=source))
    edgeopt = str(Path(sys.executable).with_name("edgeopt"))
    found = {
        "edgeopt": (
            [edgeopt, "optimize", str(rough / "recipe.yaml"), "--no-bench"],
            {"EDGEOPT_STORE": str(rough / "store")},
        )
    }
    for peer, setting in STATIC.items():
        python = folder.resolve() / "peers" / peer / "bin" / "python"
        if python.exists():
            script = str(HERE / "peers" / f"by_{peer}.py")
            found[peer] = (
                [str(python), script, str(source), str(samples), str(rough / "made")],
                {"PEERS_ONLY": setting, "OMP_NUM_THREADS": "2"},
            )
    return found


def main() -> None:
    """Run the rounds and print a row for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("network")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="+", choices=STATIC, default=list(STATIC))
    asked = parser.parse_args()
    compileall.compile_dir(str(Path(edgeopt.__file__).parent), quiet=1)
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        rough = Path(name)
        for _ in range(asked.rounds):
            for who, (command, more) in commands(asked.network, asked.folder, rough).items():
                if who not in ("edgeopt", *asked.peers):
                    continue
                for each in ("store", "made"):
                    shutil.rmtree(rough / each, ignore_errors=True)
                (rough / "made").mkdir()
                began = time.monotonic()
                done = subprocess.run(
                    command, env={**os.environ, **more}, cwd=rough, capture_output=True, text=True,
                    check=False,
                )  # fmt: skip
                if done.returncode or (who != "edgeopt" and '"file"' not in done.stdout):
                    print(f"{who} failed: {done.stderr[-300:]}", file=sys.stderr)
                    continue
                taken.setdefault(who, []).append(time.monotonic() - began)
    print("| | median | from | to |\n| --- | ---: | ---: | ---: |")
    for who, seconds in sorted(taken.items(), key=lambda item: statistics.median(item[1])):
        figures = (statistics.median(seconds), min(seconds), max(seconds))
        print(f"| {who} | {' | '.join(f'{each:.1f} s' for each in figures)} |")


if __name__ == "__main__":
    main()
