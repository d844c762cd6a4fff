"""Pictures as networks read them, changed a little on the fly: scale, rotation, mirror."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as fn
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Scale by up to ``scale`` (0.1: 0.9 to 1.1), turn by up to ``rotation_deg``, mirror half of the pictures."""

    scale: float = 0.0
    rotation_deg: float = 0.0
    flip: bool = False


def to_unit(pictures: Tensor) -> Tensor:
    """Return u8[n, h, w, c] as f32[n, c, h, w] in [-1, 1], the range of tanh."""
    return pictures.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1.0)


def augmented(pictures: Tensor, how: Augmentation, random: torch.Generator) -> Tensor:
    """Return u8[n, h, w, c] as f32[n, c, h, w] in [-1, 1], each picture changed by its own draw from ``random``."""
    x = to_unit(pictures)
    if how.scale or how.rotation_deg:
        x = _turned(x, how, random)
    if how.flip:
        mirrored = torch.rand(len(x), generator=random) < 0.5
        x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    return x


def _turned(x: Tensor, how: Augmentation, random: torch.Generator) -> Tensor:
    u = torch.rand(2, len(x), generator=random) * 2 - 1
    size, angle = 1 / (1 + how.scale * u[0]), math.radians(how.rotation_deg) * u[1]
    cos, sin, zero = size * angle.cos(), size * angle.sin(), torch.zeros(len(x))
    theta = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    grid = fn.affine_grid(theta, list(x.shape), align_corners=False)
    return fn.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def translated(x: Tensor, shift: Tensor) -> Tensor:
    """Return f32[n, c, h, w] moved by whole pixels i64[n, 2], empty places -1; keeps gradients.

    The one augmentation of Zhao et al. 2020 (DiffAugment) that gray pictures of clothes need.
    """
    n, _, h, w = x.shape
    reach = int(shift.abs().max()) if n else 0
    padded = fn.pad(x, [reach] * 4, value=-1.0)
    rows = torch.arange(h, device=x.device) + reach + shift[:, :1]
    columns = torch.arange(w, device=x.device) + reach + shift[:, 1:]
    at = torch.arange(n, device=x.device)[:, None, None]
    return padded[at, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
