"""First order motion model (Siarohin et al. 2019): keypoints with Jacobians, dense motion, occlusion, a painter.

Written from the paper. Around each keypoint the motion from driving to source picture is affine, with
``T(z) = p_S + J_S J_D^-1 (z - p_D)``; masks choose among these motions and a ground that stands still; the source's
features, warped and multiplied by an occlusion map, are painted. One deviation, ``mixed``: where the map says that the
source can be seen, the warped picture itself comes through, so that a small network need not learn to copy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from prosthesis_train.networks.parts import BatchNorm

SHARP = 0.1  # temperature of the keypoints' heat maps
SPREAD = 0.01  # variance of the spots that say where keypoints lie, in half pictures squared


@dataclass(frozen=True, slots=True)
class Size:
    """Widths of the three networks; keypoints and motion see the picture ``shrink`` times smaller.

    ``seeing`` and ``moving`` are hourglasses: width, widest, depth. ``painting``: width, widest, halvings, blocks.
    Without ``warps`` nothing is moved: the painter is told where the driving keypoints are (as by Jakab et al. 2018),
    which is what warping is to be better than; the flow is then trained by nothing.
    """

    side: int
    points: int
    shrink: int
    seeing: tuple[int, int, int]
    moving: tuple[int, int, int]
    painting: tuple[int, int, int, int]
    kernel: int
    mixed: bool
    warps: bool = True


SMALL = Size(64, 10, 2, (12, 48, 4), (16, 64, 3), (16, 64, 2, 3), 3, True)
SIZES = {
    "small64": SMALL,
    "unwarped64": replace(SMALL, warps=False),
    # the paper's for faces of 256 pixels
    "paper256": Size(256, 10, 4, (32, 1024, 5), (64, 1024, 5), (64, 512, 2, 6), 7, False),
}


class Points(NamedTuple):
    """Keypoints f32[n,k,2] in -1..1 and their Jacobians f32[n,k,2,2]."""

    at: Tensor
    jacobian: Tensor


class Motion(NamedTuple):
    """Where each place comes from, f32[n,h,w,2] in -1..1, and how much of the source is seen there, f32[n,1,h,w]."""

    flow: Tensor
    visible: Tensor


def _conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), BatchNorm(outputs), nn.ReLU())


class Hourglass(nn.Module):
    """Convolutions down to small pictures and up again, with what each size was on the way down joined in."""

    def __init__(self, inputs: int, width: int, most: int, depth: int) -> None:
        super().__init__()
        wide = [min(most, width * 2**k) for k in range(depth + 1)]
        before = [inputs, *wide[1:]]
        self.down = nn.ModuleList(_conv(before[k], wide[k + 1]) for k in range(depth))
        self.up = nn.ModuleList(
            _conv(wide[k + 1] * (1 if k == depth - 1 else 2), wide[k]) for k in reversed(range(depth))
        )
        self.outputs = wide[0] + inputs

    def forward(self, x: Tensor) -> Tensor:
        """Return f32[n, outputs, h, w] of f32[n, inputs, h, w]."""
        kept = []
        for layer in self.down:
            kept.append(x)
            x = fn.avg_pool2d(layer(x), 2)
        for layer, before in zip(self.up, reversed(kept), strict=True):
            x = torch.cat([layer(fn.interpolate(x, scale_factor=2.0)), before], 1)
        return x


class Keypoints(nn.Module):
    """Pictures f32[n,3,side,side] in 0..1 to ``Points``: means of heat maps, and Jacobians averaged by these."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.shrink, self.points = size.shrink, size.points
        self.body = Hourglass(3, *size.seeing)
        self.heat = nn.Conv2d(self.body.outputs, size.points, size.kernel, padding=size.kernel // 2)
        self.turn = nn.Conv2d(self.body.outputs, 4 * size.points, size.kernel, padding=size.kernel // 2)
        nn.init.zeros_(self.turn.weight)
        assert self.turn.bias is not None
        with torch.no_grad():
            self.turn.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 1.0]).repeat(size.points))

    def forward(self, pictures: Tensor) -> Points:
        """Return the keypoints."""
        x = self.body(fn.avg_pool2d(pictures, self.shrink))
        heat = torch.softmax(self.heat(x).flatten(2) / SHARP, 2)
        places = grid(x.shape[2], x.shape[3], x).reshape(-1, 2)
        turn = self.turn(x).reshape(-1, self.points, 4, places.shape[0])
        jacobian = (turn * heat[:, :, None]).sum(3).reshape(-1, self.points, 2, 2)
        return Points(heat @ places, jacobian)


class DenseMotion(nn.Module):
    """Source pictures and both keypoints to ``Motion`` at 1 / ``shrink`` of the side."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.shrink, self.points = size.shrink, size.points
        self.body = Hourglass((size.points + 1) * 4, *size.moving)
        pad = size.kernel // 2
        self.mask = nn.Conv2d(self.body.outputs, size.points + 1, size.kernel, padding=pad)
        self.visible = nn.Conv2d(self.body.outputs, 1, size.kernel, padding=pad)

    def forward(self, source: Tensor, of_source: Points, of_driving: Points) -> Motion:
        """Return where each place of the driving picture comes from."""
        small = fn.avg_pool2d(source, self.shrink)
        h, w = small.shape[2:]
        motions = affine_motions(of_source, of_driving, grid(h, w, small))
        many = motions.flatten(0, 1)
        copies = small[:, None].expand(-1, self.points + 1, -1, -1, -1).flatten(0, 1)
        moved = warped(copies, many).reshape(-1, self.points + 1, 3, h, w)
        spots = _spots(of_driving.at, grid(h, w, small)) - _spots(of_source.at, grid(h, w, small))
        spots = torch.cat([torch.zeros_like(spots[:, :1]), spots], 1)[:, :, None]
        x = self.body(torch.cat([spots, moved], 2).flatten(1, 2))
        mask = torch.softmax(self.mask(x), 1)
        flow = (motions * mask[..., None]).sum(1)
        return Motion(flow, torch.sigmoid(self.visible(x)))


class Painter(nn.Module):
    """Source pictures, ``Motion`` and driving keypoints f32[n,k,2] to new pictures f32[n,3,side,side] in 0..1."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        width, most, halvings, blocks = size.painting
        wide = [min(most, width * 2**k) for k in range(halvings + 1)]
        self.mixed, self.warps = size.mixed, size.warps
        self.first = _conv(3 + (0 if size.warps else size.points), wide[0], size.kernel)
        self.down = nn.ModuleList(_conv(wide[k], wide[k + 1]) for k in range(halvings))
        self.blocks = nn.Sequential(*(Residual(wide[-1]) for _ in range(blocks)))
        self.up = nn.ModuleList(_conv(wide[k + 1], wide[k]) for k in reversed(range(halvings)))
        self.last = nn.Conv2d(wide[0], 3, size.kernel, padding=size.kernel // 2)

    def forward(self, source: Tensor, motion: Motion, driving: Tensor) -> Tensor:
        """Return the pictures."""
        h, w = source.shape[2:]
        told = [] if self.warps else [_spots(driving, grid(h, w, source))]
        x = self.first(torch.cat([source, *told], 1))
        for layer in self.down:
            x = fn.avg_pool2d(layer(x), 2)
        x = self.blocks(self._moved(x, motion) * _resized(motion.visible, *x.shape[2:]))
        for layer in self.up:
            x = layer(fn.interpolate(x, scale_factor=2.0))
        painted = torch.sigmoid(self.last(x))
        if not self.mixed:
            return painted
        visible = _resized(motion.visible, h, w)
        return visible * self._moved(source, motion) + (1 - visible) * painted

    def _moved(self, x: Tensor, motion: Motion) -> Tensor:
        return warped(x, resized_flow(motion.flow, *x.shape[2:])) if self.warps else x


class Residual(nn.Module):
    """Two convolutions, each after norm and ReLU, added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers = ((BatchNorm(width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)) for _ in range(2))
        self.body = nn.Sequential(*(part for layer in layers for part in layer))

    def forward(self, x: Tensor) -> Tensor:
        """Add."""
        out: Tensor = x + self.body(x)
        return out


class Animator(nn.Module):
    """The three networks together."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.keypoints, self.motion, self.painter = Keypoints(size), DenseMotion(size), Painter(size)

    def forward(self, source: Tensor, of_source: Points, of_driving: Points) -> tuple[Tensor, Motion]:
        """Return the source as the driving keypoints move it, and the motion."""
        motion = self.motion(source, of_source, of_driving)
        return self.painter(source, motion, of_driving.at), motion


def grid(h: int, w: int, like: Tensor) -> Tensor:
    """Return the centres of pixels f32[h,w,2], x and y in -1..1."""
    x, y = ((2 * torch.arange(n, dtype=like.dtype, device=like.device) + 1) / n - 1 for n in (w, h))
    return torch.stack([x[None].expand(h, w), y[:, None].expand(h, w)], -1)


def inverse(m: Tensor) -> Tensor:
    """Return the inverse of f32[...,2,2], in closed form: exported graphs have no other."""
    a, b, c, d = m[..., 0, 0], m[..., 0, 1], m[..., 1, 0], m[..., 1, 1]
    det = a * d - b * c
    return torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2) / det[..., None, None]


def affine_motions(of_source: Points, of_driving: Points, places: Tensor) -> Tensor:
    """Return f32[n,1+k,h,w,2]: for each place of the driving picture where it lies in the source by each motion."""
    turn = of_source.jacobian @ inverse(of_driving.jacobian)
    away = places[None, None] - of_driving.at[:, :, None, None]
    near = (turn[:, :, None, None] @ away[..., None]).squeeze(-1) + of_source.at[:, :, None, None]
    return torch.cat([places[None, None].expand(near.shape[0], 1, -1, -1, -1), near], 1)


def warped(x: Tensor, flow: Tensor) -> Tensor:
    """Return f32[n,c,h,w] whose places come from where f32[n,h,w,2] says; outside, the border goes on."""
    return fn.grid_sample(x, flow, mode="bilinear", padding_mode="border", align_corners=False)


def resized_flow(flow: Tensor, h: int, w: int) -> Tensor:
    """Return a flow f32[n,h,w,2] of another size; what stands still does so up to the edge."""
    away = flow - grid(flow.shape[1], flow.shape[2], flow)
    return grid(h, w, flow) + _resized(away.permute(0, 3, 1, 2), h, w).permute(0, 2, 3, 1)


def _resized(x: Tensor, h: int, w: int) -> Tensor:
    if x.shape[2:] == (h, w):
        return x
    return fn.interpolate(x, (h, w), mode="bilinear", align_corners=False)


def _spots(at: Tensor, places: Tensor) -> Tensor:
    """Return f32[n,k,h,w]: a soft spot at each keypoint."""
    away = places[None, None] - at[:, :, None, None]
    return torch.exp(-0.5 / SPREAD * away.square().sum(-1))
