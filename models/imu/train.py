"""Train the source model on the windows of subjects 1 to 6 and write ``source.safetensors``.

    python train.py                # as the shipped weights were made
    python train.py --evaluate     # score source.safetensors on validation and test

Nothing is selected on validation or test: the weights kept are those of the last epoch.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from net import resnet
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

HERE = Path(__file__).parent
WEIGHTS = HERE / "source.safetensors"
PER_UNIT = 1000


def tensors(split: str) -> tuple[torch.Tensor, torch.Tensor]:
    with np.load(HERE / "imu.npz", allow_pickle=False) as archive:
        signal, label = archive[f"{split}.signal"], archive[f"{split}.label"]
    return torch.from_numpy(signal).float() / PER_UNIT, torch.from_numpy(label).long()


def augment(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A shift in time of up to 16 samples, another strength, a little noise."""
    n, _, length = x.shape
    shift = torch.randint(-16, 17, (n, 1), generator=generator)
    index = (torch.arange(length) + shift).clamp(0, length - 1)
    moved = x.gather(2, index[:, None].expand(-1, x.shape[1], -1))
    strength = 1 + 0.2 * torch.randn(n, x.shape[1], 1, generator=generator)
    return moved * strength + 0.03 * torch.randn(moved.shape, generator=generator)


@torch.inference_mode()
def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    return float((model.eval()(x).argmax(1) == y).float().mean())


def train(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    x, y = tensors("train")
    model = resnet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=0.02)
    steps = len(y) // args.batch
    for epoch in range(args.epochs):
        model.train()
        order, total = torch.randperm(len(y), generator=generator), 0.0
        for step in range(steps):
            done = (epoch + step / steps) / args.epochs
            for group in optimizer.param_groups:
                group["lr"] = args.peak * 0.5 * (1 + math.cos(math.pi * done))
            index = order[step * args.batch : (step + 1) * args.batch]
            logits = model(augment(x[index], generator))
            loss = functional.cross_entropy(logits, y[index], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach())
        print(f"epoch {epoch + 1}/{args.epochs}: loss {total / steps:.4f}", flush=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, WEIGHTS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--peak", type=float, default=3e-3, help="learning rate to begin with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--evaluate", action="store_true", help="score the weights, train nothing")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if not args.evaluate:
        train(args)
    model = resnet()
    model.load_state_dict(load_file(WEIGHTS))
    for split in ("validation", "test"):
        print(f"{split}: {accuracy(model, *tensors(split)):.4f}")


if __name__ == "__main__":
    main()
