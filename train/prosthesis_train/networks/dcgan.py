"""DCGAN (Radford et al. 2015), to the conventions of pytorch/examples: z of 100, 64 or 32 pixels, colour or gray."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from prosthesis.errors import ConfigError
from prosthesis_train.networks.parts import BatchNorm

LATENT = 100


class Generator(nn.Module):
    """z f32[n, 100] to pictures f32[n, c, side, side] in [-1, 1]; 3.58 million parameters at 3x64x64."""

    def __init__(self, side: int = 64, channels: int = 3, width: int = 64, latent: int = LATENT) -> None:
        super().__init__()
        self.side, self.channels, self.latent = side, channels, latent
        widths = [width * 2**i for i in reversed(range(_stages(side)))]  # 512, 256, 128, 64
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, widths[0], 4, bias=False)]
        for before, after in pairwise(widths):
            layers += [BatchNorm(before), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
        layers += [BatchNorm(widths[-1]), nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        _initialise(self)

    def forward(self, z: Tensor) -> Tensor:
        """Return pictures."""
        pictures: Tensor = self.layers(z[:, :, None, None])
        return pictures


class Discriminator(nn.Module):
    """Pictures to logits f32[n] that they are real; no batch norm in the first and last layers."""

    def __init__(self, side: int = 64, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(_stages(side))]  # 64, 128, 256, 512
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), BatchNorm(after)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        self.features = nn.Sequential(*layers)
        self.last = nn.Conv2d(widths[-1], 1, 4, bias=False)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.last(self.features(x))
        return logits.flatten()


def _stages(side: int) -> int:
    if side not in (32, 64):
        raise ConfigError(f"a DCGAN makes pictures of 32 or 64 pixels, not {side}; choose --side 32 or 64")
    return 3 if side == 32 else 4


def _initialise(module: nn.Module) -> None:
    """Set weights as Radford et al. 2015 do: N(0, .02), and gains of batch norms N(1, .02)."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, BatchNorm) and layer.weight is not None:
            nn.init.normal_(layer.weight, 1.0, 0.02)


def sample(generator: Generator, n: int, random: torch.Generator) -> Tensor:
    """Return ``n`` pictures of random codes."""
    return torch.as_tensor(generator(torch.randn(n, generator.latent, generator=random)))
