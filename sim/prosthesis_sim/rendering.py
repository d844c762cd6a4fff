"""The rendering of ``phosphenes.py`` compiled, for the world's hot path; tested equal.

Outside ``CUT_SIGMAS`` a phosphene is left out, an error of at most exp(-4^2 / 2) = 3.4e-4 of its peak.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import numpy.typing as npt

from prosthesis_sim.lanes import ABOVE, BELOW, FAR, LANES, add_scaled, put_integrals

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
CUT_SIGMAS = 4.0
_ROOT_TWO_PI = math.sqrt(2 * math.pi)
# floats that are not negative are in the order of their bits, and only integers are clipped eight at a time
_ONE_BITS = np.int32(np.float32(1).view(np.int32))
# three-point Gauss-Legendre on one part of a pixel
_NODES = (-0.5 * math.sqrt(0.6), 0.0, 0.5 * math.sqrt(0.6))
_WEIGHTS = (5 / 18, 8 / 18, 5 / 18)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _normal(z: float) -> float:
    """Return the normal distribution's integral from 0 to ``z``."""
    z = min(max(z, -FAR), FAR)
    t = z * z
    above = ABOVE[0] + t * (ABOVE[1] + t * (ABOVE[2] + t * ABOVE[3]))
    return z * above / (BELOW[0] + t * (BELOW[1] + t * (BELOW[2] + t * BELOW[3])))


@numba.njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _fill(weights: F32, first: float, count: int, per_sigma: float, peak: float) -> None:
    """Put the mean over each of ``count`` pixels, a multiple of ``LANES``, of a Gaussian into ``weights``.

    ``first`` is where the first pixel begins, in pixels from the Gaussian's centre; ``per_sigma`` is 1 / its sigma,
    ``peak`` its height times sigma and the root of 2 pi.
    """
    step, start, scale = np.float32(per_sigma), np.float32(first * per_sigma), np.float32(peak)
    for k in range(0, count, LANES):
        put_integrals(weights, k, start, step, scale)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def clip(image: F32) -> None:
    """Lower what is above 1 to 1."""
    bits = image.ravel().view(np.int32)
    for k in range(len(bits)):
        bits[k] = min(bits[k], _ONE_BITS)


@numba.njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _render(image: F32, column: F64, row: F64, sigma_px: F64, aspect: float, brightness: F64) -> None:
    """Do what ``render`` says for rows of whole lanes."""
    height, width = image.shape
    image[:] = np.float32(0)
    flat, per_aspect = image.ravel(), 1.0 / aspect
    across, down = np.empty(width + LANES, np.float32), np.empty(height + LANES, np.float32)
    for n in range(len(column)):
        if brightness[n] <= 0.0 or sigma_px[n] <= 0.0:
            continue
        sx, sy = sigma_px[n], sigma_px[n] * aspect
        x0 = max(0, math.floor(column[n] - CUT_SIGMAS * sx))
        x1 = min(width - 1, math.floor(column[n] + CUT_SIGMAS * sx))
        y0 = max(0, math.floor(row[n] - CUT_SIGMAS * sy))
        y1 = min(height - 1, math.floor(row[n] + CUT_SIGMAS * sy))
        if x1 < x0 or y1 < y0:
            continue
        # a window of whole lanes, moved to the left where it would stick out on the right
        span = (x1 - x0 + LANES) // LANES * LANES
        x0 = min(x0, width - span)
        lines, per_sigma = (y1 - y0 + LANES) // LANES * LANES, 1.0 / sx
        _fill(across, x0 - column[n], span, per_sigma, sx * _ROOT_TWO_PI)
        _fill(down, y0 - row[n], lines, per_sigma * per_aspect, brightness[n] * sy * _ROOT_TWO_PI)
        for i in range(y0, y1 + 1):
            for j in range(0, span, LANES):
                add_scaled(flat, i * width + x0 + j, across, j, down[i - y0])
    clip(image)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def render(image: F32, column: F64, row: F64, sigma_px: F64, aspect: float, brightness: F64) -> None:
    """Draw phosphenes into ``image`` f32[h, w], replacing it, clipped at 1.

    ``column``, ``row`` f64[n] are centres in pixels from the upper left corner; ``sigma_px`` f64[n] is the size across,
    ``aspect`` times that the size down; ``brightness`` f64[n] are the peaks, and those of 0 are skipped,
    as are those of no size.
    """
    height, width = image.shape
    if width % LANES == 0:
        _render(image, column, row, sigma_px, aspect, brightness)
        return
    wider = np.empty((height, width + LANES - width % LANES), np.float32)
    _render(wider, column, row, sigma_px, aspect, brightness)
    image[:] = wider[:, :width]


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def render_tilted(image: F32, column: F64, row: F64, long_px: F64, short_px: F64, angle: F64, brightness: F64) -> None:
    """Draw elliptical phosphenes, as ``render``: ``long_px``, ``short_px`` f64[n] are their sigmas in square pixels.

    ``angle`` f64[n] turns the long axis from the right to the top. Along a row a cut through a tilted Gaussian is a
    Gaussian, integrated exactly; down the column by three-point Gauss-Legendre on parts finer than the short axis.
    """
    height, width = image.shape
    image[:] = 0.0
    for n in range(len(column)):
        if brightness[n] <= 0.0:
            continue
        cos, sin = math.cos(angle[n]), math.sin(angle[n])
        long2, short2 = long_px[n] ** 2, short_px[n] ** 2
        # covariance in pixels, rows running down
        xx, yy = cos * cos * long2 + sin * sin * short2, sin * sin * long2 + cos * cos * short2
        slant = -cos * sin * (long2 - short2) / yy
        cut = math.sqrt(long2 * short2 / yy)
        down, reach = math.sqrt(yy), math.sqrt(xx)
        y0 = max(0, math.floor(row[n] - CUT_SIGMAS * down))
        y1 = min(height - 1, math.floor(row[n] + CUT_SIGMAS * down))
        if column[n] + CUT_SIGMAS * reach < 0 or column[n] - CUT_SIGMAS * reach > width:
            continue
        parts = 1 + int(1.0 / max(short_px[n], 0.05))
        for i in range(y0, y1 + 1):
            for part in range(3 * parts):
                k = part % 3
                y = i + (part // 3 + 0.5 + _NODES[k]) / parts - row[n]
                centre = column[n] + slant * y
                x0 = max(0, math.floor(centre - CUT_SIGMAS * cut))
                x1 = min(width - 1, math.floor(centre + CUT_SIGMAS * cut))
                peak = brightness[n] * _WEIGHTS[k] / parts * math.exp(-0.5 * y * y / yy) * cut * _ROOT_TWO_PI
                before = _normal((x0 - centre) / cut)
                for j in range(x0, x1 + 1):
                    after = _normal((j + 1 - centre) / cut)
                    image[i, j] += np.float32(peak * (after - before))
                    before = after
    clip(image)
