"""Networks that each have a construct which pruning must handle, over (n, 1, 28, 28) images.

Factories without arguments, so that this file can be an artifact's code. Norms have figures as
after training: with means of 0 and scales of 1, wrong mappings could hide.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def settled(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    for each in module.modules():
        if isinstance(each, nn.BatchNorm2d):
            n = each.num_features
            each.running_mean.copy_(torch.randn(n, generator=generator) / 4)
            each.running_var.copy_(torch.rand(n, generator=generator) + 0.5)
            each.weight.data.copy_(torch.rand(n, generator=generator) + 0.5)
            each.bias.data.copy_(torch.randn(n, generator=generator) / 4)
    return module.eval()


class PaddedBlock(nn.Module):
    """A residual block whose shortcut subsamples and pads channels with zeros (option A)."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width_out)
        self.conv2 = nn.Conv2d(width_out, width_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width_out)
        self.stride, self.pad = stride, (width_out - width_in) // 2

    def shortcut(self, x: torch.Tensor) -> torch.Tensor:
        if self.stride == 1:
            return x
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class AppendedBlock(PaddedBlock):
    """Option A by another way: zeros of the input's own shape are appended."""

    def shortcut(self, x: torch.Tensor) -> torch.Tensor:
        if self.stride == 1:
            return x
        x = functional.avg_pool2d(x, 2)
        return torch.cat([x, torch.zeros_like(x)], dim=1)


class Padded(nn.Module):
    def __init__(self, block: type[PaddedBlock]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, 1, 1)
        self.blocks = nn.Sequential(block(16, 16, 1), block(16, 32, 2), block(32, 64, 2))
        self.head = nn.Linear(64, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(torch.relu(self.stem(image))).mean(dim=(2, 3)))


class Inverted(nn.Module):
    """Expansion, depthwise convolution, projection, squeeze and excitation."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        inner = 4 * width_in
        self.layers = nn.Sequential(
            nn.Conv2d(width_in, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU6(),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU6(),
            nn.Conv2d(inner, width_out, 1, bias=False),
            nn.BatchNorm2d(width_out),
        )
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(width_out, 8, 1),
            nn.ReLU(),
            nn.Conv2d(8, width_out, 1),
            nn.Hardsigmoid(),
        )
        self.residual = stride == 1 and width_in == width_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layers(x)
        y = y * self.gate(y)
        return x + y if self.residual else y


class Mobile(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6()
        )
        self.blocks = nn.Sequential(Inverted(16, 16, 1), Inverted(16, 24, 2), Inverted(24, 24, 1))
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(24 * 7 * 7, 10))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(image)))


class Encoder(nn.Module):
    """Patches, a class token, two of torch's own encoder layers."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 32, 7, 7)
        self.token = nn.Parameter(torch.randn(1, 1, 32))
        self.place = nn.Parameter(torch.randn(1, 17, 32) / 8)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.place
        return self.head(self.norm(self.encoder(x))[:, 0])


class Attention(nn.Module):
    """Attention by linear layers: of one for all three, or of one each."""

    def __init__(self, width: int, heads: int, fused: bool) -> None:
        super().__init__()
        self.num_heads, self.head_dim, self.inner, self.fused = heads, width // heads, width, fused
        if fused:
            self.qkv = nn.Linear(width, 3 * width)
        else:
            self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, length, _ = x.shape
        if self.fused:
            split = self.qkv(x).reshape(n, length, 3, self.num_heads, self.head_dim)
            q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
        else:
            q, k, v = (
                layer(x).view(n, length, self.num_heads, self.head_dim).transpose(1, 2)
                for layer in (self.q, self.k, self.v)
            )
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        return self.out(mixed.reshape(n, length, self.inner))


class Written(nn.Module):
    """A transformer that writes its attention with linear layers, over the image's lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = nn.Linear(28, 32)
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(4))
        self.attentions = nn.ModuleList(Attention(32, 4, fused) for fused in (True, False))
        self.feeds = nn.ModuleList(
            nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32)) for _ in range(2)
        )
        self.head = nn.Linear(32, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.lines(image.squeeze(1))
        for index, (attention, feed) in enumerate(zip(self.attentions, self.feeds, strict=True)):
            x = x + attention(self.norms[2 * index](x))
            x = x + feed(self.norms[2 * index + 1](x))
        return self.head(x.mean(dim=1))


class Joined(nn.Module):
    """Concatenation, grouped and transposed convolution, PReLU, a flatten of three axes."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(1, 8, 3, 2, 1)
        self.b = nn.Conv2d(1, 16, 5, 2, 2)
        self.norm = nn.BatchNorm2d(24)
        self.mix = nn.Conv2d(24, 32, 1)
        self.grouped = nn.Conv2d(32, 32, 3, 1, 1, groups=4)
        self.act = nn.PReLU(32)
        self.up = nn.ConvTranspose2d(32, 16, 2, 2)
        self.lines = nn.Conv1d(16, 8, 3, padding=1)
        self.head = nn.Linear(8 * 28, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(torch.cat([self.a(image), self.b(image)], dim=1)))
        x = self.act(self.grouped(torch.relu(self.mix(x))))
        x = torch.relu(self.up(x)).mean(dim=3)
        return self.head(torch.sigmoid(self.lines(x)).flatten(1))


class Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(1, 8, 3)
        self.b = nn.Conv2d(8, 16, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = torch.from_numpy(self.a(image).detach().numpy())
        with torch.no_grad():
            return self.b(x).mean(dim=(2, 3))


class Gram(nn.Module):
    """Style features: how much each two channels agree."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 32, 3, 2, 1)
        self.second = nn.Conv2d(32, 32, 3, 2, 1)
        self.head = nn.Linear(32 * 32, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.second(torch.relu(self.first(image)))).flatten(2)
        return self.head((y @ y.transpose(1, 2)).flatten(1))


class Fails(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(1, 8, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.a(image).numpy()


def made(kind: type[nn.Module], *args: object) -> nn.Module:
    torch.manual_seed(0)
    return settled(kind(*args))


def padded() -> nn.Module:
    return made(Padded, PaddedBlock)


def appended() -> nn.Module:
    return made(Padded, AppendedBlock)


def mobile() -> nn.Module:
    return made(Mobile)


def encoder() -> nn.Module:
    return made(Encoder)


def written() -> nn.Module:
    return made(Written)


def joined() -> nn.Module:
    return made(Joined)


def detached() -> nn.Module:
    return made(Detached)


def gram() -> nn.Module:
    return made(Gram)


def fails() -> nn.Module:
    return made(Fails)
