"""`slice-to-conv` raced on a residual network whose shortcuts are strided slices.

    python benchmarks/rewrites.py FOLDER

The network is ResNet-20 for 32 x 32 images with shortcuts that take every second pixel and pad
channels with zeros (option A of He et al., arXiv:1512.03385), its weights drawn at random: times
do not depend on them, and nothing is said of accuracy. With and without the pass, in float32 and in
INT8, in each runtime; the two files of a pair are raced directly. Leave the machine alone
meanwhile.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import edgeopt
from edgeopt.agent.machine import facts
from edgeopt.store import Store

RECIPE = """\
model: {format: onnx, path: resnet20.onnx}
data: {source: data.npz, splits: {calibration: calibration, validation: validation}}
targets: [local/onnxruntime]
passes:
  - simplify-onnx
  - one_of: [none, slice-to-conv]
  - one_of: [none, {quantize-int8: {scheme: u8s8-reduced}}]
"""
REWRITTEN = "slice-to-conv"


class Block(nn.Module):
    """Two convolutions, and a shortcut of every second pixel where the width doubles."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.stride, self.more = (2, after - before) if after != before else (1, 0)
        self.first = nn.Sequential(
            nn.Conv2d(before, after, 3, self.stride, 1, bias=False), nn.BatchNorm2d(after)
        )
        self.second = nn.Sequential(
            nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, before, h, w) -> (n, after, h / stride, w / stride)."""
        y = self.second(functional.relu(self.first(x)))
        if self.more:
            half = self.more // 2
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, self.more - half))
        return functional.relu(y + x)


def resnet20() -> nn.Module:
    """(n, 3, 32, 32) -> (n, 10)."""
    torch.manual_seed(0)
    widths = [16] * 4 + [32] * 3 + [64] * 3
    blocks = [Block(a, b) for a, b in pairwise(widths)]
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def main() -> None:
    """Make all, race the pairs, print a row for each runtime."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(2, 3, 32, 32)
    exported = torch.onnx.export(
        resnet20().eval(), (example,), dynamo=True, dynamic_shapes=({0: torch.export.Dim("n")},)
    )
    assert exported is not None
    exported.save(folder / "resnet20.onnx")
    drawn = np.random.default_rng(0).normal(size=(192, 3, 32, 32)).astype(np.float32)
    name = exported.model.graph.inputs[0].name
    np.savez(
        folder / "data.npz",
        **{f"calibration.{name}": drawn[:64], f"validation.{name}": drawn[64:]},
    )
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE)
    machine = facts()
    print(f"{machine['cpu']}, {machine['isa']}, one thread, batch 1")
    with Store.default() as store:
        result = edgeopt.optimize(recipe, out=folder / "out", bench=False, store=store)
        files: dict[tuple[bool, bool], Path] = {}
        for candidate in result.targets[0].candidates:
            if candidate.artifact is None:
                continue
            rewritten, int8 = REWRITTEN in candidate.label, "quantize" in candidate.label
            place = store.checkout(candidate.artifact, folder / f"{rewritten}-{int8}")
            files[rewritten, int8] = place / "model.onnx"
        for int8 in (False, True):
            compared = edgeopt.compare(
                files[False, int8], files[True, int8], store=store,
                targets=["local/onnxruntime", "local/openvino"],
            )  # fmt: skip
            for pair in compared.pairs:
                found = pair.against["ratio.latency.p50"]
                spread = f"{found.value:.3f}x ({found.low:.3f} to {found.high:.3f}x)"
                print(f"{'INT8' if int8 else 'float32'} in {pair.target}: {spread}", flush=True)


if __name__ == "__main__":
    main()
