"""Train the source model on the first 55,000 images and write ``source.safetensors``.

    python train.py --bf16 --threads 2        # as the shipped weights were made
    python train.py --evaluate                # score source.safetensors on validation and test

A checkpoint is written after each epoch; the same command goes on from it. The weights
kept are an exponential moving average; nothing is selected on the test images.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from net import resnet
from prepare import IDX, load_all
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

HERE = Path(__file__).parent
MEAN, STD = 0.286, 0.353
WEIGHTS = HERE / "source.safetensors"


def tensors(arrays: dict[str, np.ndarray], split: str) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.from_numpy(arrays[f"{split}.images"]).unsqueeze(1).float() / 255
    return (images - MEAN) / STD, torch.from_numpy(arrays[f"{split}.label"]).long()


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A shift of up to two pixels, a mirror for every second image, a small erased patch."""
    count, _, side, _ = images.shape
    background = -MEAN / STD
    padded = functional.pad(images, (2, 2, 2, 2), value=background)
    offsets = torch.randint(0, 5, (2, count), generator=generator)
    line = torch.arange(side)
    rows = (offsets[0][:, None] + line)[:, None, :, None]
    columns = (offsets[1][:, None] + line)[:, None, None, :]
    mirrored = torch.rand(count, generator=generator) < 0.5
    columns = torch.where(mirrored[:, None, None, None], columns.flip(-1), columns)
    out = padded[torch.arange(count)[:, None, None, None], 0, rows, columns]
    corner = torch.randint(-6, side, (2, count), generator=generator)
    inside_rows = (line >= corner[0][:, None]) & (line < corner[0][:, None] + 6)
    inside_columns = (line >= corner[1][:, None]) & (line < corner[1][:, None] + 6)
    patch = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
    return out.masked_fill(patch, background)


@torch.inference_mode()
def accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    model.eval()
    hits = sum(
        int((model(x).argmax(1) == y).sum())
        for x, y in zip(images.split(500), labels.split(500), strict=True)
    )
    return hits / len(labels)


def learning_rate(progress: float, peak: float) -> float:
    """One cycle: linear warm-up over the first fifth, then a cosine to zero."""
    if progress < 0.2:
        return peak * progress / 0.2
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - 0.2) / 0.8))


def train(args: argparse.Namespace, arrays: dict[str, np.ndarray]) -> None:
    torch.manual_seed(args.seed)
    images, labels = tensors(arrays, "train")
    model = resnet().to(memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998), use_buffers=True
    )
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.0, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    checkpoint = HERE / "train.ckpt"
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"]
    steps = len(labels) // args.batch
    for epoch in range(first, args.epochs):
        generator = torch.Generator().manual_seed(args.seed * 1000 + epoch)
        order = torch.randperm(len(labels), generator=generator)
        model.train()
        start, total = time.monotonic(), 0.0
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate((epoch + step / steps) / args.epochs, args.peak)
            index = order[step * args.batch : (step + 1) * args.batch]
            x = augment(images[index], generator).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
                logits = model(x)
            loss = functional.cross_entropy(logits.float(), labels[index], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average.update_parameters(model)
            total += float(loss.detach())
        torch.save(
            {
                "model": model.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "epoch": epoch + 1,
            },
            checkpoint,
        )
        held_out = accuracy(average.module, *tensors(arrays, "validation"))
        seconds = time.monotonic() - start
        print(
            f"epoch {epoch + 1}/{args.epochs}: loss {total / steps:.4f}, "
            f"validation {held_out:.4f}, {seconds:.0f} s",
            flush=True,
        )
    weights = {k: v.detach().contiguous().clone() for k, v in average.module.state_dict().items()}
    save_file(weights, WEIGHTS)
    checkpoint.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--idx", type=Path, default=IDX, help="folder with the four IDX files")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--peak", type=float, default=0.2, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
    parser.add_argument("--evaluate", action="store_true", help="score the weights, train nothing")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    arrays = load_all(args.idx)
    if not args.evaluate:
        train(args, arrays)
    model = resnet()
    model.load_state_dict(load_file(WEIGHTS))
    for split in ("validation", "test"):
        print(f"{split}: {accuracy(model, *tensors(arrays, split)):.4f}")


if __name__ == "__main__":
    main()
