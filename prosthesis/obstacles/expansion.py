"""How fast each part of the picture grows, hence when it is reached, and how far beside the walker it will pass.

A patch that grows by the ratio k in ``dt_s`` at steady speed will be reached in dt_s / (k - 1). Over a patch the flow
is a plane; its smallest principal stretch is taken for growth. At the border of something that only passes by, flow
jumps along one direction: the other principal stretch is then 0 or less, so borders do not count as growth. For ground
and walls along the path the smallest stretch is exactly the patch's own 1 / time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prosthesis.messages import F32
from prosthesis.obstacles.flow import Flow

STEP = 2  # cells between patches
HALF_CELLS = (2, 5)  # patches of 5 x 5 and 11 x 11 cells: 7 and 16 deg of a 60 deg camera
ROUNDS = 2
LEAST_CORNERS = 6.0  # a patch with fewer good corners says nothing: three make a plane


@dataclass(frozen=True, slots=True)
class Expansion:
    """Growth of patches f32[rows, columns] around places ``x``, ``y`` (tangents, y down).

    ``rate_per_s`` is 1 / time to contact, negative for what recedes; ``sigma_per_s`` its standard error, infinite where
    nothing is seen; ``dx`` and ``dy`` are the patches' own backward flow in ``dt_s``.
    """

    x: F32
    y: F32
    rate_per_s: F32
    sigma_per_s: F32
    dx: F32
    dy: F32
    dt_s: float


def expansion(flow: Flow) -> Expansion:
    """Return growth at the sharper of two patch sizes: the small one where it is sure enough, else the large."""
    small, large = (_patches(flow, half) for half in HALF_CELLS)
    use = (small.sigma_per_s <= 0.1) | (small.sigma_per_s <= 1.5 * large.sigma_per_s)
    pairs = zip(_parts(small), _parts(large), strict=True)
    rate, sigma, dx, dy = (np.where(use, fine, coarse) for fine, coarse in pairs)
    return Expansion(small.x, small.y, rate, sigma, dx, dy, flow.dt_s)


def _parts(found: Expansion) -> tuple[F32, F32, F32, F32]:
    return found.rate_per_s, found.sigma_per_s, found.dx, found.dy


def _patches(flow: Flow, half: int) -> Expansion:
    """Fit planes to the flow of square patches, deaf to what moves otherwise; large ones take every other corner."""
    size, every = 2 * half + 1, 1 if half < 4 else 2

    def patches(values: F32) -> F32:
        wide = np.pad(values, half)
        out: F32 = np.lib.stride_tricks.sliding_window_view(wide, (size, size))[::STEP, ::STEP, ::every, ::every]
        return out.reshape(out.shape[0] * out.shape[1], -1)

    at_x, at_y = flow.x[::STEP, ::STEP], flow.y[::STEP, ::STEP]
    x, y = patches(flow.x) - at_x.reshape(-1, 1), patches(flow.y) - at_y.reshape(-1, 1)
    found = _fit(x, y, patches(flow.dx), patches(flow.dy), patches(flow.weight), flow.dt_s)
    rate, sigma, dx, dy = (part.reshape(at_x.shape) for part in found)
    return Expansion(at_x, at_y, rate, sigma, dx, dy, flow.dt_s)


def growth_of(flow: Flow, own: npt.NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Return growth, its standard error, and flow dx, dy of the corners of one thing, ``own`` bool[rows, columns]."""
    x, y, dx, dy, weight = (part[own][None] for part in (flow.x, flow.y, flow.dx, flow.dy, flow.weight))
    if x.size == 0:
        return 0.0, math.inf, 0.0, 0.0
    rate, sigma, at_x, at_y = _fit(x - x.mean(), y - y.mean(), dx, dy, weight, flow.dt_s)
    return rate.item(), sigma.item(), at_x.item(), at_y.item()


def _fit(x: F32, y: F32, dx: F32, dy: F32, texture: F32, dt_s: float) -> tuple[F32, F32, F32, F32]:
    """Return growth, its error, dx and dy f32[n, 1] of n patches of corners [n, k], less those that move otherwise."""
    weight = texture
    for turn in range(ROUNDS + 1):
        fit = _plane(x, y, dx, dy, weight)
        squared = (dx - fit.dx - fit.a * x - fit.b * y) ** 2 + (dy - fit.dy - fit.c * x - fit.d * y) ** 2
        variance = _sum(weight * squared) / np.maximum(2 * _sum(weight) - 6, 1.0)
        if turn < ROUNDS:
            weight = texture / (1 + squared / np.maximum(4 * variance, 1e-12))
    error = np.sqrt(variance * fit.spread)
    # shear and one-sided stretch, less what noise alone would look like
    uneven = np.sqrt(np.maximum(((fit.a - fit.d) ** 2 + (fit.b + fit.c) ** 2) / 4 - error**2, 0.0))
    # backward flow shrinks what grows: the least growth is the largest backward stretch
    stretch = (fit.a + fit.d) / 2 + uneven
    rate = -stretch / (np.maximum(1 + stretch, 0.1) * dt_s)
    sigma = np.where(fit.weight >= LEAST_CORNERS, error / dt_s, np.inf).astype(np.float32)
    return rate, sigma, fit.dx, fit.dy


@dataclass(frozen=True, slots=True)
class _Plane:
    """Flow (dx + a x + b y, dy + c x + d y) as columns f32[patches, 1]; ``spread``: variance of a..d over noise's."""

    dx: F32
    dy: F32
    a: F32
    b: F32
    c: F32
    d: F32
    spread: F32
    weight: F32


def _plane(x: F32, y: F32, dx: F32, dy: F32, weight: F32) -> _Plane:
    total = _sum(weight)
    share = weight / np.maximum(total, np.float32(1e-6))
    middle = [_sum(share * part) for part in (x, y, dx, dy)]
    x, y, dx, dy = x - middle[0], y - middle[1], dx - middle[2], dy - middle[3]
    by_x, by_y = share * x, share * y
    xx, xy, yy = _sum(by_x * x) + 1e-9, _sum(by_x * y), _sum(by_y * y) + 1e-9  # solvable where nothing is seen
    area = np.maximum(xx * yy - xy * xy, 1e-16)
    slopes = []
    for part in (dx, dy):
        along, across = _sum(by_x * part), _sum(by_y * part)
        slopes += [(yy * along - xy * across) / area, (xx * across - xy * along) / area]
    a, b, c, d = slopes
    at_x, at_y = middle[2] - a * middle[0] - b * middle[1], middle[3] - c * middle[0] - d * middle[1]
    return _Plane(at_x, at_y, a, b, c, d, (xx + yy) / (2 * area * np.maximum(total, 1e-6)), total)


def _sum(values: npt.NDArray[np.floating]) -> F32:
    return np.asarray(values.sum(axis=1, keepdims=True), np.float32)
