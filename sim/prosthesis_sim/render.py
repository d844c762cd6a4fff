"""The real-time renderer: the reference's pixel-integrated Gaussians, windowed and compiled.

Outside ``CUT_SIGMAS`` a phosphene is left out, an error of at most exp(-4.5^2 / 2) = 4e-5 of its peak.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
CUT_SIGMAS = 4.5
_ROOT2 = math.sqrt(2.0)
_ROOT_HALF_PI = math.sqrt(math.pi / 2)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill(weights: F64, centre: float, sigma: float, first: int, last: int) -> None:
    """Put the mean over each pixel first..last of a Gaussian into ``weights``; all in pixels."""
    scale = sigma * _ROOT_HALF_PI
    before = math.erf((first - centre) / (_ROOT2 * sigma))
    for i in range(first, last + 1):
        after = math.erf((i + 1 - centre) / (_ROOT2 * sigma))
        weights[i - first] = (after - before) * scale
        before = after


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def render(image: F32, column: F64, row: F64, sigma_px: F64, aspect: float, brightness: F64) -> None:
    """Draw phosphenes into ``image`` f32[h, w], replacing it, clipped at 1.

    ``column``, ``row`` f64[n] are centres in pixels from the upper left corner; ``sigma_px`` f64[n] is the size across,
    ``aspect`` times that the size down; ``brightness`` f64[n] are the peaks, and those of 0 are skipped.
    """
    height, width = image.shape
    image[:] = 0.0
    across = np.empty(width)
    down = np.empty(height)
    for n in range(len(column)):
        if brightness[n] <= 0.0:
            continue
        sx, sy = sigma_px[n], sigma_px[n] * aspect
        x0 = max(0, math.floor(column[n] - CUT_SIGMAS * sx))
        x1 = min(width - 1, math.floor(column[n] + CUT_SIGMAS * sx))
        y0 = max(0, math.floor(row[n] - CUT_SIGMAS * sy))
        y1 = min(height - 1, math.floor(row[n] + CUT_SIGMAS * sy))
        if x1 < x0 or y1 < y0:
            continue
        _fill(across, column[n], sx, x0, x1)
        _fill(down, row[n], sy, y0, y1)
        for i in range(y0, y1 + 1):
            peak = brightness[n] * down[i - y0]
            for j in range(x0, x1 + 1):
                image[i, j] += np.float32(peak * across[j - x0])
    for i in range(height):
        for j in range(width):
            if image[i, j] > 1.0:
                image[i, j] = 1.0
