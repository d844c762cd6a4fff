"""BigBiGAN (Donahue & Simonyan 2019): generator, encoder and a discriminator of pictures, codes and pairs of both.

``paper128`` has the paper's networks: BigGAN's generator and picture discriminator at 128 pixels (Brock et al. 2019,
table 4), ResNet-50 (He et al. 2016) as encoder, residual perceptrons of 2048. The others have the same parts made cheap
for a CPU: one strided convolution in place of two and pooling, a transposed one in place of nearest neighbours and
convolution (a third of the time), and features by place in place of a sum over places. ``codes120`` is ``small32`` with
codes as long as the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from prosthesis.errors import ConfigError
from prosthesis_train.networks.parts import BatchNorm, ChunkNorm, SelfAttention, initialise, spectral_norm


@dataclass(frozen=True, slots=True)
class Size:
    """What fixes every layer's shape; widths are channels from 4 pixels up (G) and from the picture down (F, E)."""

    side: int
    latent: int
    chunk: int
    generator: tuple[int, ...]
    discriminator: tuple[int, ...]
    encoder: tuple[int, ...]
    encoder_side: int
    perceptron: int
    perceptron_layers: int
    attention_at: int
    cheap: bool


SIZES = {
    "small32": Size(32, 80, 20, (128, 64, 32), (32, 64, 128), (32, 64, 128), 32, 256, 2, 8, True),
    "codes120": Size(32, 120, 30, (128, 64, 32), (32, 64, 128), (32, 64, 128), 32, 256, 2, 8, True),
    "small64": Size(64, 100, 20, (128, 128, 64, 32), (32, 64, 128, 128), (32, 64, 128, 128), 64, 256, 2, 16, True),
    "paper128": Size(
        128, 120, 20, (1536, 1536, 768, 384, 192, 96), (96, 192, 384, 768, 1536), (), 256, 2048, 8, 64, False
    ),
}


@dataclass(frozen=True, slots=True)
class Tricks:
    """Which of the networks' named tricks are on."""

    skip_z: bool = True
    self_attention: bool = True
    spectral_norm: str = "D"  # "", "D" or "GD"


class UpBlock(nn.Module):
    """A residual block that doubles the side; BigGAN's ``ResBlock up`` or its cheap form."""

    def __init__(self, before: int, after: int, chunk: int, spectral: bool, cheap: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = ChunkNorm(before, chunk), ChunkNorm(after, chunk)
        first = nn.ConvTranspose2d(before, after, 4, 2, 1) if cheap else nn.Conv2d(before, after, 3, 1, 1)
        self.up = nn.Identity() if cheap else nn.Upsample(scale_factor=2)
        self.conv1 = spectral_norm(first, spectral)
        self.conv2 = spectral_norm(nn.Conv2d(after, after, 3, 1, 1), spectral)
        self.skip = spectral_norm(nn.Conv2d(before, after, 1), spectral)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Return f32[n, after, 2h, 2w]."""
        y = self.conv1(self.up(fn.relu(self.norm1(x, z))))
        y = self.conv2(fn.relu(self.norm2(y, z)))
        return torch.as_tensor(y + fn.interpolate(self.skip(x), scale_factor=2.0))


class Generator(nn.Module):
    """z f32[n, latent] to pictures f32[n, c, side, side] in [-1, 1]: one chunk of z to the start and to every block."""

    def __init__(self, size: Size, channels: int, tricks: Tricks) -> None:
        super().__init__()
        self.latent, self.side, self.channels = size.latent, size.side, channels
        self.chunk = size.chunk if tricks.skip_z else 0
        spectral = "G" in tricks.spectral_norm
        widths = size.generator
        self.start = spectral_norm(nn.Linear(self.chunk or size.latent, widths[0] * 16), spectral)
        self.blocks = nn.ModuleList(UpBlock(a, b, self.chunk, spectral, size.cheap) for a, b in pairwise(widths))
        self.attention_after = (size.attention_at.bit_length() - 4) if tricks.self_attention else -1
        at = widths[self.attention_after + 1]
        self.attention = SelfAttention(at, spectral) if tricks.self_attention else nn.Identity()
        self.norm = ChunkNorm(widths[-1], self.chunk if size.cheap else 0)
        # the cheap one doubles the side as it draws: a block at the full side would cost as much as the others together
        last = (
            nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1)
            if size.cheap
            else nn.Conv2d(widths[-1], channels, 3, 1, 1)
        )
        self.last = spectral_norm(last, spectral)
        initialise(self, None)

    def forward(self, z: Tensor) -> Tensor:
        """Return pictures."""
        chunks = torch.split(z, self.chunk, dim=1) if self.chunk else [z] * (len(self.blocks) + 2)
        x = self.start(chunks[0]).unflatten(1, (-1, 4, 4))
        for i, block in enumerate(self.blocks):
            x = block(x, chunks[i + 1])
            if i == self.attention_after:
                x = self.attention(x)
        return torch.tanh(self.last(fn.relu(self.norm(x, chunks[-1]))))


class DownBlock(nn.Module):
    """A residual block that halves the side; BigGAN's ``ResBlock down`` or its cheap form, with batch norm if asked."""

    def __init__(self, before: int, after: int, cheap: bool, spectral: bool = False, norm: bool = False) -> None:
        super().__init__()
        self.norm1: nn.Module = BatchNorm(before) if norm else nn.Identity()
        first = nn.Conv2d(before, after, 4, 2, 1) if cheap else nn.Conv2d(before, after, 3, 1, 1)
        self.conv1 = spectral_norm(first, spectral)
        self.conv2 = None if cheap else spectral_norm(nn.Conv2d(after, after, 3, 1, 1), spectral)
        self.skip = spectral_norm(nn.Conv2d(before, after, 1), spectral)
        self.slope = 0.2 if cheap else 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Return f32[n, after, h/2, w/2]."""
        y = self.conv1(fn.leaky_relu(self.norm1(x), self.slope))
        if self.conv2 is not None:
            y = fn.avg_pool2d(self.conv2(fn.relu(y)), 2)
        return torch.as_tensor(y + self.skip(fn.avg_pool2d(x, 2)))


class SameBlock(nn.Module):
    """BigGAN's last ``ResBlock`` of the discriminator: neither side nor channels change."""

    def __init__(self, channels: int, spectral: bool) -> None:
        super().__init__()
        self.conv1 = spectral_norm(nn.Conv2d(channels, channels, 3, 1, 1), spectral)
        self.conv2 = spectral_norm(nn.Conv2d(channels, channels, 3, 1, 1), spectral)

    def forward(self, x: Tensor) -> Tensor:
        """Return f32[n, channels, h, w]."""
        return torch.as_tensor(x + self.conv2(fn.relu(self.conv1(fn.relu(x)))))


class Perceptron(nn.Module):
    """A residual perceptron: a layer to ``width``, then pairs of layers around which the signal also passes."""

    def __init__(self, inputs: int, width: int, layers: int, spectral: bool) -> None:
        super().__init__()
        self.first = spectral_norm(nn.Linear(inputs, width), spectral)
        self.pairs = nn.ModuleList(
            nn.Sequential(
                nn.LeakyReLU(0.2),
                spectral_norm(nn.Linear(width, width), spectral),
                nn.LeakyReLU(0.2),
                spectral_norm(nn.Linear(width, width), spectral),
            )
            for _ in range(layers // 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return f32[n, width]."""
        y: Tensor = self.first(x)
        for pair in self.pairs:
            y = y + pair(y)
        return fn.leaky_relu(y, 0.2)


class Pictures(nn.Module):
    """The trunk F: pictures to features, with self-attention where the generator has it."""

    def __init__(self, size: Size, channels: int, tricks: Tricks) -> None:
        super().__init__()
        spectral, widths, cheap = "D" in tricks.spectral_norm, size.discriminator, size.cheap
        if cheap:  # a strided stem: blocks at the full side would cost more than all the rest
            self.stem: nn.Module = spectral_norm(nn.Conv2d(channels, widths[0], 4, 2, 1), spectral)
            blocks: list[nn.Module] = [DownBlock(a, b, True, spectral) for a, b in pairwise(widths)]
        else:
            self.stem = nn.Identity()
            blocks = [DownBlock(a, b, False, spectral) for a, b in pairwise((channels, *widths))]
            blocks.append(SameBlock(widths[-1], spectral))
        self.blocks = nn.ModuleList(blocks)
        side, self.attention_before = size.side // 2 if cheap else size.side, -1
        if tricks.self_attention:
            self.attention_before = (side // size.attention_at).bit_length() - 1
        at = widths[self.attention_before if cheap else self.attention_before - 1]
        self.attention = SelfAttention(at, spectral) if tricks.self_attention else nn.Identity()
        self.cheap = cheap
        self.features = widths[-1] * 16 if cheap else widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Return f32[n, features]."""
        y = self.stem(x)
        for i, block in enumerate(self.blocks):
            if i == self.attention_before:
                y = self.attention(y)
            y = block(y)
        y = fn.leaky_relu(y, 0.2 if self.cheap else 0.0)
        return torch.as_tensor(y.flatten(1) if self.cheap else y.sum((2, 3)))


@dataclass(frozen=True, slots=True)
class Scores:
    """The three scores of pairs, each f32[n]: of the picture, of the code, of both together."""

    picture: Tensor
    code: Tensor
    joint: Tensor

    def parts(self, unary: bool) -> tuple[Tensor, ...]:
        """Return those that the losses use: all, or the joint one alone."""
        return (self.picture, self.code, self.joint) if unary else (self.joint,)


class JointDiscriminator(nn.Module):
    """``s_x`` linear in F(x), ``s_z`` in H(z), ``s_xz`` in J(F(x), H(z))."""

    def __init__(self, size: Size, channels: int, tricks: Tricks) -> None:
        super().__init__()
        spectral, width, layers = "D" in tricks.spectral_norm, size.perceptron, size.perceptron_layers
        self.pictures = Pictures(size, channels, tricks)
        self.codes = Perceptron(size.latent, width, layers, spectral)
        self.joint = Perceptron(self.pictures.features + width, width, layers, spectral)
        self.score_picture = spectral_norm(nn.Linear(self.pictures.features, 1), spectral)
        self.score_code = spectral_norm(nn.Linear(width, 1), spectral)
        self.score_joint = spectral_norm(nn.Linear(width, 1), spectral)
        initialise(self, None)

    def forward(self, x: Tensor, z: Tensor) -> Scores:
        """Score pairs of pictures and codes."""
        f, h = self.pictures(x), self.codes(z)
        j = self.joint(torch.cat([f, h], dim=1))
        return Scores(self.score_picture(f)[:, 0], self.score_code(h)[:, 0], self.score_joint(j)[:, 0])


class Bottleneck(nn.Module):
    """A pre-activated bottleneck of ResNet-50 (He et al. 2016)."""

    def __init__(self, before: int, inner: int, stride: int) -> None:
        super().__init__()
        after = 4 * inner
        self.norm1, self.norm2, self.norm3 = BatchNorm(before), BatchNorm(inner), BatchNorm(inner)
        self.conv1 = nn.Conv2d(before, inner, 1, bias=False)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.conv3 = nn.Conv2d(inner, after, 1, bias=False)
        changes = stride != 1 or before != after
        self.skip = nn.Conv2d(before, after, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """Return f32[n, 4 inner, h/stride, w/stride]."""
        y = fn.relu(self.norm1(x))
        kept = x if self.skip is None else self.skip(y)
        y = self.conv2(fn.relu(self.norm2(self.conv1(y))))
        return torch.as_tensor(kept + self.conv3(fn.relu(self.norm3(y))))


def resnet50(channels: int) -> nn.Sequential:
    """Return the body of ResNet-50 v2: stem, stages of 3, 4, 6 and 3 bottlenecks, last norm."""
    layers: list[nn.Module] = [nn.Conv2d(channels, 64, 7, 2, 3, bias=False), nn.MaxPool2d(3, 2, 1)]
    before = 64
    for stage, count in enumerate((3, 4, 6, 3)):
        inner = 64 * 2**stage
        for i in range(count):
            layers.append(Bottleneck(before, inner, 2 if i == 0 and stage else 1))
            before = 4 * inner
    return nn.Sequential(*layers, BatchNorm(before), nn.ReLU())


class Encoder(nn.Module):
    """Pictures f32[n, c, encoder side, encoder side] to the mean and sigma, each f32[n, latent], of their codes."""

    def __init__(self, size: Size, channels: int) -> None:
        super().__init__()
        self.side, self.latent, self.cheap = size.encoder_side, size.latent, size.cheap
        if size.cheap:
            widths: Sequence[int] = size.encoder
            stem = nn.Conv2d(channels, widths[0], 4, 2, 1)
            blocks = [DownBlock(a, b, True, norm=True) for a, b in pairwise(widths)]
            self.body = nn.Sequential(stem, *blocks, BatchNorm(widths[-1]), nn.LeakyReLU(0.2))
            width = widths[-1] * 16
        else:
            self.body, width = resnet50(channels), 2048
        self.head = Perceptron(width, size.perceptron, 4 if not size.cheap else 2, spectral=False)
        self.last = nn.Linear(size.perceptron, 2 * size.latent)
        initialise(self, None)

    def features(self, x: Tensor) -> Tensor:
        """Return what the body sees, before the perceptron: what a linear probe reads."""
        y = self.body(x)
        return torch.as_tensor(y.flatten(1) if self.cheap else y.mean((2, 3)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and sigma; sigma > 0 by softplus."""
        mean, raw = self.last(self.head(self.features(x))).chunk(2, dim=1)
        return mean, fn.softplus(raw)


def size_named(name: str) -> Size:
    """Return the size called ``name``."""
    if name not in SIZES:
        raise ConfigError(f"no BigBiGAN size is called '{name}'; choose one of {', '.join(SIZES)}")
    return SIZES[name]
