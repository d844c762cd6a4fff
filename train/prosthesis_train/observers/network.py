"""The observers' networks: fixed early vision, four convolutions, one linear layer; one names, the other compares."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

SIDE = 32
# of the blurred copy, in pixels: dots a few pixels apart run together in it, as they do for a person who squints
BLUR_PX = 1.2
# those of who compares: what differs is coarser than the dots
BLURS_PX = (1.2, 2.4)


class ObserverNet(nn.Module):
    """Percepts f32[b, t, 32, 32] to logits f32[b, classes]; ``features`` f32[b, width] go into the last layer."""

    def __init__(self, frames: int, classes: int, width: int = 64) -> None:
        super().__init__()
        self.frames, self.classes, self.width = frames, classes, width
        self.body = nn.Sequential(*_body(2 * frames))
        self.drop = nn.Dropout(0.2)
        self.join = nn.Linear(48 * 16, width)
        self.out = nn.Linear(width, classes)
        self.register_buffer("taps", _taps(BLUR_PX, 5), persistent=False)

    def features(self, percepts: Tensor) -> Tensor:
        """Return f32[b, width]."""
        seen: Tensor = torch.relu(self.join(self.drop(self.body(self._early(percepts)))))
        return seen

    def forward(self, percepts: Tensor) -> Tensor:
        """Return logits f32[b, classes]."""
        logits: Tensor = self.out(self.features(percepts))
        return logits

    def _early(self, percepts: Tensor) -> Tensor:
        """Adapt to the brightest of the trial, compress, and add a blurred copy adapted in its turn."""
        sharp = torch.sqrt(percepts / (percepts.amax(dim=(1, 2, 3), keepdim=True) + 1e-3))
        assert isinstance(self.taps, Tensor)
        blurred = _blurred(percepts, self.taps)
        blurred = torch.sqrt(blurred.clamp(min=0) / (blurred.amax(dim=(1, 2, 3), keepdim=True) + 1e-3))
        return torch.cat((sharp, blurred), dim=1) * 2 - math.sqrt(0.5)


class MatcherNet(nn.Module):
    """Percepts f32[b, 1, 32, 32], all of one patient and one encoder, to ``features`` f32[b, width] to be compared.

    Who looks is used to the array: it is the differences from the mean percept that are looked at, blurred to two
    degrees, beside that mean. Features are a linear reading of the differences, and what convolutions add to it.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.width = width
        self.linear = nn.Linear(SIDE * SIDE // 4, width, bias=False)
        self.body = nn.Sequential(*_body(2 * len(BLURS_PX)))
        self.drop = nn.Dropout(0.2)
        self.join = nn.Linear(48 * 16, width, bias=False)
        nn.init.zeros_(self.join.weight)
        for k, blur in enumerate(BLURS_PX):
            self.register_buffer(f"taps{k}", _taps(blur, 8), persistent=False)

    def adapted(self, percepts: Tensor) -> Tensor:
        """Return f32[b, 4, 32, 32] of one patient's percepts f32[b, 1, 32, 32]: two differences, two means."""
        sharp = torch.sqrt(percepts)
        means, differences = [], []
        for k in range(len(BLURS_PX)):
            taps = getattr(self, f"taps{k}")
            blurred = _blurred(sharp, taps)
            mean = blurred.mean(dim=0, keepdim=True)
            difference = blurred - mean
            differences.append(difference / (difference.square().mean().sqrt() + 1e-6))
            means.append((mean / (mean.amax() + 1e-6)).expand_as(blurred))
        return torch.cat((*differences, *means), dim=1)

    def features(self, adapted: Tensor) -> Tensor:
        """Return f32[b, width] of what ``adapted`` made of percepts."""
        coarse = nn.functional.avg_pool2d(adapted[:, :1], 2).flatten(1)
        added: Tensor = self.join(self.drop(self.body(adapted)))
        read: Tensor = self.linear(coarse)
        return read + added


def _body(inputs: int) -> tuple[nn.Module, ...]:
    return (*_layer(inputs, 16, 2), *_layer(16, 32, 2), *_layer(32, 48, 1), *_layer(48, 48, 2), nn.Flatten())


def _layer(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _taps(blur_px: float, reach: int) -> Tensor:
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / blur_px) ** 2)
    return taps / taps.sum()


def _blurred(percepts: Tensor, taps: Tensor) -> Tensor:
    """Return percepts f32[b, t, h, w] blurred."""
    b, t, h, w = percepts.shape
    reach = len(taps) // 2
    across = nn.functional.conv2d(percepts.reshape(b * t, 1, h, w), taps.view(1, 1, 1, -1), padding=(0, reach))
    return nn.functional.conv2d(across, taps.view(1, 1, -1, 1), padding=(reach, 0)).reshape(b, t, h, w)
