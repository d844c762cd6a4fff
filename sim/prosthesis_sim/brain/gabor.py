"""Gabor filters of simple and complex cells as rows of a matrix, each averaged over the area of every pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
# samples of a filter along each side of a pixel: point sampling would let small fields fall between pixels
SUBPIXELS = 2
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Units:
    """Per unit f64[n]: place in the picture (0..1, x right, y up), frequency in cycles per picture, angles in radians.

    ``across``, ``along`` are the envelope's standard deviations in fractions of the picture; ``complex_`` bool[n].
    """

    x: F64
    y: F64
    frequency: F64
    orientation: F64
    phase: F64
    across: F64
    along: F64
    complex_: Bool


def filter_bank(units: Units, side: int) -> F32:
    """Return f32[2n, side * side]: each unit's filter and, n rows below, the same a quarter of a cycle later.

    Both have the norm that their envelope gives, so that a grating drives either phase alike.
    """
    n, fine = len(units.x), side * SUBPIXELS
    axis = ((np.arange(fine) + 0.5) / fine).astype(np.float32)
    x, y = (a.reshape(1, fine, fine) for a in np.meshgrid(axis, 1 - axis))
    bank = np.empty((2 * n, side * side), np.float32)
    for start in range(0, n, _BLOCK):
        rows = slice(start, min(start + _BLOCK, n))
        named = (units.x, units.y, units.orientation, units.across, units.along, units.frequency, units.phase)
        here = [a[rows].reshape(-1, 1, 1).astype(np.float32) for a in named]
        dx, dy = x - here[0], y - here[1]
        u = dx * np.cos(here[2]) + dy * np.sin(here[2])
        v = -dx * np.sin(here[2]) + dy * np.cos(here[2])
        envelope = np.exp(-0.5 * ((u / here[3]) ** 2 + (v / here[4]) ** 2))
        angle = np.float32(2 * np.pi) * here[5] * u + here[6]
        scale = 1 / np.maximum(np.sqrt((envelope**2).sum((1, 2), keepdims=True)), 1e-9) / SUBPIXELS
        for first, wave in ((0, np.cos(angle)), (n, -np.sin(angle))):
            pixels = (scale * envelope * wave).reshape(-1, side, SUBPIXELS, side, SUBPIXELS).sum((2, 4))
            bank[first + rows.start : first + rows.stop] = pixels.reshape(-1, side * side)
    return bank


def energies(bank: F32, complex_: Bool, pictures: F32) -> F32:
    """Return f32[b, n]: half-rectified output of simple cells, root mean square of both phases of complex ones."""
    out = pictures @ bank.T
    even, odd = out[:, : len(complex_)], out[:, len(complex_) :]
    return np.asarray(np.where(complex_, np.sqrt((even**2 + odd**2) / 2), np.maximum(even, 0.0)), np.float32)
