"""Small networks around the virtual patient: camera crop to task map, and percept to class or picture."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from prosthesis_train.networks.parts import BatchNorm

COARSEST = 8  # cells along the coarsest map: every cell of it sees the whole crop after two convolutions more
FLOOR = 1 / 64  # of white: as in the baselines, what a frame's brightest value must reach to be shown in full
WIDTHS = (8, 16, 24, 48)  # channels from 64 cells down to the coarsest


class TaskMapper(nn.Module):
    """Camera crops f32[n,3,2c,2c] in 0..1 to task maps f32[n,c,c] in 0..1; a black crop gives exactly 0.

    A U-net (Ronneberger et al. 2015) down to 8 x 8 cells; ``cells`` is 32 or 64.
    """

    def __init__(self, cells: int) -> None:
        super().__init__()
        steps = (cells // COARSEST).bit_length() - 1
        widths = WIDTHS[-steps - 1 :]
        self.cells = cells
        self.stem = _block(3, widths[0], stride=2)
        self.down = nn.ModuleList(_block(a, b, stride=2) for a, b in pairwise(widths))
        self.middle = nn.Sequential(_block(widths[-1], widths[-1]), _block(widths[-1], widths[-1]))
        back = widths[::-1]
        self.up = nn.ModuleList(_block(a + b, b) for a, b in pairwise(back))
        self.head = nn.Conv2d(widths[0], 1, 3, padding=1)

    def forward(self, crops: Tensor) -> Tensor:
        """Return the maps."""
        x = self.stem(crops)
        kept = [x]
        for down in self.down:
            kept.append(down(kept[-1]))
        x = self.middle(kept.pop())
        for up in self.up:
            x = up(torch.cat([fn.interpolate(x, scale_factor=2.0, mode="nearest"), kept.pop()], 1))
        lit = (crops.amax((1, 2, 3)) / FLOOR).clamp(0.0, 1.0)
        maps: Tensor = torch.sigmoid(self.head(x)[:, 0]) * lit[:, None, None]
        return maps

    def take_over(self, state: Mapping[str, Tensor]) -> None:
        """Begin with the weights of an equal or a coarser mapper: scales count from the coarsest."""
        own, finest = self.state_dict(), len(self.down)
        coarser = finest - len({key.split(".")[1] for key in state if key.startswith("down.")})
        for key, value in state.items():
            part, *rest = key.split(".")
            if part == "down":
                key = ".".join([part, str(int(rest[0]) + coarser), *rest[1:]])
            if part in ("stem", "head") and coarser:
                continue
            own[key] = value
        self.load_state_dict(own)


class Observer(nn.Module):
    """Percepts f32[n,channels,h,w] to logits f32[n,classes]; trained beside what it judges, no other scores use it."""

    def __init__(self, classes: int, side: int, channels: int = 1, width: int = 24) -> None:
        super().__init__()
        left = -(-side // 4)
        self.body = nn.Sequential(
            _block(channels, width), _block(width, width, stride=2), _block(width, 2 * width, stride=2)
        )
        self.head = nn.Linear(2 * width * left * left, classes)

    def forward(self, percepts: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.head(self.body(percepts).flatten(1))
        return logits


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), BatchNorm(outputs), nn.ReLU()
    )
