"""What the pipeline costs beside the libraries: the same passes, bare and by a recipe.

    python benchmarks/bare_ptq.py [--rounds 5]

A round runs, each as a process of its own and in turn: the bare library calls (export by
torch, onnxsim, ONNX Runtime's static quantization on 512 samples); ``edgeopt optimize
benchmarks/ptq.yaml --no-bench`` with an empty store; and the same again with all cached.
``--bare FOLDER`` makes the bare calls alone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "models" / "fashion_mnist"
SAMPLES = 512
ALLOWED_RATIO, ALLOWED_S = 1.15, 2.0


def bare(folder: Path) -> None:
    """Export, simplify and quantize, as a script of a few lines would."""
    sys.path.insert(0, str(MODELS))
    import net
    import numpy as np
    import onnx
    import onnxsim
    import torch
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process
    from safetensors.torch import load_file

    torch.set_num_threads(1)
    model = net.resnet()
    model.load_state_dict(load_file(MODELS / "source.safetensors"))
    program = torch.onnx.export(
        model.eval(),
        kwargs={"image": torch.zeros(2, 1, 28, 28)},
        dynamo=True,
        dynamic_shapes={"image": {0: torch.export.Dim("batch", min=1)}},
        verbose=False,
    )
    assert program is not None
    simple, sound = onnxsim.simplify(program.model_proto)
    assert sound
    onnx.save(simple, folder / "simple.onnx")
    quant_pre_process(str(folder / "simple.onnx"), str(folder / "prepared.onnx"))
    with np.load(MODELS / "fashion_mnist.npz") as data:
        images = data["train.images"][:SAMPLES]
    ready = (images[:, None].astype(np.float32) / 255 - 0.286) / 0.353

    class Reader:
        def __init__(self) -> None:
            self.feeds = iter(ready)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.feeds, None)
            return None if image is None else {"image": image[None]}

    stem = next(
        n.name for n in onnx.load(folder / "prepared.onnx").graph.node if n.op_type == "Conv"
    )
    quantize_static(
        str(folder / "prepared.onnx"),
        str(folder / "quantized.onnx"),
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=[stem],
    )


def timed(command: list[str], store: str) -> float:
    """Seconds of a whole process."""
    one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
    began = time.monotonic()
    subprocess.run(
        command, check=True, env={**os.environ, **one, "EDGEOPT_STORE": store},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.monotonic() - began


def one_round() -> dict[str, float]:
    """Seconds of each way, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        by_recipe = [
            str(Path(sys.executable).with_name("edgeopt")), "optimize", str(HERE / "ptq.yaml"),
            "--no-bench", "--quiet", "--out", f"{folder}/out",
        ]  # fmt: skip
        store = f"{folder}/store"
        return {
            "bare": timed([sys.executable, __file__, "--bare", folder], store),
            "cold": timed(by_recipe, store),
            "cached": timed(by_recipe, store),
        }


def main() -> None:
    """Run the rounds and print what came of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bare", type=Path)
    asked = parser.parse_args()
    if asked.bare:
        return bare(asked.bare)
    rounds = []
    for number in range(asked.rounds):
        rounds.append(one_round())
        told = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in rounds[-1].items())
        print(f"{number + 1:3d}  {told}", flush=True)
    over = [r["cold"] - ALLOWED_RATIO * r["bare"] for r in rounds]
    median = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
    ratios = sorted(r["cold"] / r["bare"] for r in rounds)
    print(", ".join(f"{name} {seconds:.2f} s" for name, seconds in median.items()), "(medians)")
    print(f"cold / bare: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    print(f"cold beyond {ALLOWED_RATIO} x bare: {statistics.median(over):.2f} s "
          f"({min(over):.2f} to {max(over):.2f}); {ALLOWED_S} s are allowed")  # fmt: skip
    return None


if __name__ == "__main__":
    main()
