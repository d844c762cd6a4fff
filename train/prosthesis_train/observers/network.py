"""The observers' network: fixed early vision, four convolutions, one linear layer; for stills and short sequences."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

SIDE = 32
# of the blurred copy, in pixels: dots a few pixels apart run together in it, as they do for a person who squints
BLUR_PX = 1.2


class ObserverNet(nn.Module):
    """Percepts f32[b, t, 32, 32] to logits f32[b, classes]; ``features`` f32[b, width] go into the last layer."""

    def __init__(self, frames: int, classes: int, width: int = 64) -> None:
        super().__init__()
        self.frames, self.classes, self.width = frames, classes, width
        self.body = nn.Sequential(
            *_layer(2 * frames, 16, 2), *_layer(16, 32, 2), *_layer(32, 48, 1), *_layer(48, 48, 2), nn.Flatten()
        )
        self.drop = nn.Dropout(0.2)
        self.join = nn.Linear(48 * 16, width)
        # who only compares names nothing
        self.out = nn.Linear(width, classes) if classes else nn.Identity()
        taps = torch.exp(-0.5 * (torch.arange(-5, 6) / BLUR_PX) ** 2)
        self.register_buffer("taps", taps / taps.sum(), persistent=False)

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
        b, t, h, w = percepts.shape
        flat, taps = percepts.reshape(b * t, 1, h, w), self.taps
        assert isinstance(taps, Tensor)
        across = nn.functional.conv2d(flat, taps.view(1, 1, 1, -1), padding=(0, 5))
        blurred = nn.functional.conv2d(across, taps.view(1, 1, -1, 1), padding=(5, 0)).reshape(b, t, h, w)
        blurred = torch.sqrt(blurred.clamp(min=0) / (blurred.amax(dim=(1, 2, 3), keepdim=True) + 1e-3))
        return torch.cat((sharp, blurred), dim=1) * 2 - math.sqrt(0.5)


def _layer(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
