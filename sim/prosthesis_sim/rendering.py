"""The rendering of ``phosphenes.py`` compiled, for the world's hot path; tested equal.

Outside ``CUT_SIGMAS`` a phosphene is left out, an error of at most exp(-4^2 / 2) = 3.4e-4 of its peak.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import numpy.typing as npt

from prosthesis_sim.lanes import LANES, add_scaled

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
CUT_SIGMAS = 4.0
_ROOT_TWO_PI = math.sqrt(2 * math.pi)
# z P(z^2) / Q(z^2) is the normal distribution's integral from 0 to z to 7e-7 up to |z| = 4.5: least
# squares on Chebyshev nodes, reweighted. Unlike erf or a table, eight go in one instruction
_FAR = np.float32(4.5)
_P0, _P1 = np.float32(0.398944557), np.float32(0.0270967036)
_P2, _P3 = np.float32(0.00383737963), np.float32(3.3693912e-05)
_Q1, _Q2, _Q3 = np.float32(0.234620303), np.float32(0.0236729681), np.float32(0.00117425353)
_ONE = np.float32(1)
# floats that are not negative are in the order of their bits, and only integers are clipped eight at a time
_ONE_BITS = np.int32(_ONE.view(np.int32))
# lets the compiler fuse multiplications and additions; there are no NaN or infinities here
_RELAXED = {"contract", "nsz", "nnan", "ninf"}
# three-point Gauss-Legendre on one part of a pixel
_NODES = (-0.5 * math.sqrt(0.6), 0.0, 0.5 * math.sqrt(0.6))
_WEIGHTS = (5 / 18, 8 / 18, 5 / 18)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_RELAXED, inline="always")  # type: ignore[untyped-decorator]
def normal(z: float) -> float:
    """Return the normal distribution's integral from 0 to ``z``."""
    z = min(max(z, -_FAR), _FAR)
    t = z * z
    square = t * t
    above = (_P0 + t * _P1) + square * (_P2 + t * _P3)
    value: float = z * above / ((_ONE + t * _Q1) + square * (_Q2 + t * _Q3))
    return value


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_RELAXED)  # type: ignore[untyped-decorator]
def _fill(weights: F32, first: float, count: int, per_sigma: float, peak: float) -> None:
    """Put the mean over each of ``count`` pixels of a Gaussian of ``peak`` into ``weights``.

    ``first`` is where the first pixel begins, in pixels from the Gaussian's centre; ``per_sigma`` is 1 / its sigma.
    """
    step, start, scale = np.float32(per_sigma), np.float32(first * per_sigma), np.float32(peak)
    for k in range(np.int32(count)):
        z = start + np.float32(np.int32(k)) * step
        weights[k] = (normal(z + step) - normal(z)) * scale


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
                before = normal((x0 - centre) / cut)
                for j in range(x0, x1 + 1):
                    after = normal((j + 1 - centre) / cut)
                    image[i, j] += np.float32(peak * (after - before))
                    before = after
    clip(image)
