"""What passing axons add to a retinal percept: the axon map of Beyeler et al. 2019, as reference and in real time.

A pixel is as bright as the strongest point of its axon: max over points s of
sum over electrodes e of a_e exp(-d_es^2 / 2 rho_e^2) exp(-l_s^2 / 2 lambda_e^2), d_es from the electrode to the point,
l_s the way from the pixel along the axon; no a_e is negative. With a large rho the image is smooth, so
pixels are sampled at their centres: an error of (pixel / rho)^2 / 12, 5e-4 of the peak at 22 um pixels and 300 um.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from prosthesis_sim.axons import TILE_UM, Axons, tiles

Array = Any
F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
# points further along the axon than where exp(-l^2 / 2 lambda^2) falls to this count for nothing (Beyeler et al. 2019)
SENSITIVITY_CUT = 1e-3
REACH_LAMBDAS = math.sqrt(-2 * math.log(SENSITIVITY_CUT))
# and electrodes further from a point than this many rho: at most exp(-4^2 / 2) = 3.4e-4 of their peak
CUT_RHOS = 4.0


def axon_map_reference(
    axons: Axons, x_um: Array, y_um: Array, brightness: Array, rho_um: Array, lambda_um: Array
) -> Array:
    """Return the image [h, w] of electrodes at ``x_um``, ``y_um`` [n], not clipped and without a cut in rho.

    ``brightness``, ``rho_um`` and ``lambda_um`` are [n]. Holds all points of all axons at once, [h w, points]: for
    small images and for gradients.
    """
    xp = array_namespace(brightness)
    first, last, away = (np.ravel(part) for part in (axons.first, axons.last, axons.away_um))
    point = last[:, None] - np.arange(max(int((last - first).max()) + 1, 1))
    along = (away + axons.arc_um[last])[:, None] - axons.arc_um[np.maximum(point, 0)]
    along = xp.asarray(np.where(point >= first[:, None], along, np.inf))
    d2 = (xp.asarray(axons.x_um)[:, None] - x_um) ** 2 + (xp.asarray(axons.y_um)[:, None] - y_um) ** 2
    light = brightness * xp.exp(-d2 / (2 * rho_um**2))
    total: Array = 0.0
    for decay_um in xp.unique_values(lambda_um):
        field = xp.sum(xp.where(lambda_um == decay_um, light, 0 * light), axis=1)
        decay = xp.exp(-((along / decay_um) ** 2) / 2)
        decay = xp.where(decay >= SENSITIVITY_CUT, decay, 0 * decay)
        total = total + decay * field[xp.asarray(np.maximum(point, 0))]
    return xp.reshape(xp.max(total, axis=1), axons.first.shape)


class AxonMap:
    """The axon map of one array on one retina, drawn by compiled code."""

    def __init__(self, axons: Axons, x_um: F64, y_um: F64) -> None:
        self._axons = axons
        self._tiles = tiles(axons.x_um, axons.y_um)
        order = self._tiles.order
        self._tiled_x, self._tiled_y = axons.x_um[order], axons.y_um[order]
        self._x, self._y = np.asarray(x_um, np.float64), np.asarray(y_um, np.float64)

    def draw(self, image: F32, brightness: F64, rho_um: F64, lambda_um: F64) -> None:
        """Draw into ``image`` f32[h, w], replacing it, clipped at 1; the rest f64[n], electrodes of 0 are skipped.

        Every distinct lambda costs one more pass over the axons.
        """
        decays, group = np.unique(lambda_um[brightness > 0], return_inverse=True)
        groups = np.zeros(len(brightness), np.int64)
        groups[brightness > 0] = group
        t, a = self._tiles, self._axons
        field = np.zeros((len(decays), len(t.order)), np.float32)
        _spread(
            field,
            self._tiled_x,
            self._tiled_y,
            t.start,
            t.left_um,
            t.low_um,
            self._x,
            self._y,
            brightness,
            rho_um,
            groups,
        )
        along = np.empty_like(field)
        along[:, t.order] = field
        _strongest(image, along, a.arc_um, a.first, a.last, a.away_um, (0.5 / decays**2).astype(np.float32))


@numba.njit(inline="always")  # type: ignore[untyped-decorator]
def _falloff(q: Any) -> Any:
    """Return exp(-q) to 1e-5 of it for q f32 in 0..8: the 16th power of a polynomial, so that loops vectorise."""
    t = np.float32(0.25) - q * np.float32(1 / 16)
    poly = np.float32(1 / 24) + t * np.float32(1 / 120)
    poly = np.float32(0.5) + t * (np.float32(1 / 6) + t * poly)
    poly = np.float32(math.exp(-0.25)) * (np.float32(1) + t * (np.float32(1) + t * poly))
    poly *= poly
    poly *= poly
    poly *= poly
    return poly * poly


@numba.njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _spread(
    field: F32,
    x: F32,
    y: F32,
    start: I64,
    left: float,
    low: float,
    at_x: F64,
    at_y: F64,
    brightness: F64,
    rho: F64,
    groups: I64,
) -> None:
    """Add each electrode's Gaussian to the points, in tile order, of its group in ``field`` f32[groups, k]."""
    rows, columns = start.shape[0], start.shape[1] - 1
    limit = np.float32(CUT_RHOS**2 / 2)
    for n in range(len(brightness)):
        if brightness[n] <= 0.0:
            continue
        cut = CUT_RHOS * rho[n]
        peak, narrow = np.float32(brightness[n]), np.float32(0.5 / rho[n] ** 2)
        xn, yn = np.float32(at_x[n]), np.float32(at_y[n])
        out = field[groups[n]]
        i0 = max(0, math.floor((at_y[n] - cut - low) / TILE_UM))
        i1 = min(rows - 1, math.floor((at_y[n] + cut - low) / TILE_UM))
        for i in range(i0, i1 + 1):
            beside = max(low + i * TILE_UM - at_y[n], at_y[n] - low - (i + 1) * TILE_UM, 0.0)
            half = math.sqrt(max(cut**2 - beside**2, 0.0))
            j0 = max(0, math.floor((at_x[n] - half - left) / TILE_UM))
            j1 = min(columns - 1, math.floor((at_x[n] + half - left) / TILE_UM))
            if j1 < j0:
                continue
            begin, end = start[i, j0], start[i, j1 + 1]
            # slices, because an index that might be negative keeps the loop from being vectorised
            xs, ys, here = x[begin:end], y[begin:end], out[begin:end]
            for k in range(len(here)):
                dx, dy = xs[k] - xn, ys[k] - yn
                q = (dx * dx + dy * dy) * narrow
                here[k] += peak * _falloff(q) if q < limit else np.float32(0)


@numba.njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _strongest(image: F32, field: F32, arc: F32, first: I32, last: I32, away: F32, narrows: F32) -> None:
    """Set each pixel to the most that any point of its axon sends, clipped at 1."""
    groups, points = field.shape
    limit = np.float32(-math.log(SENSITIVITY_CUT))
    lit = np.empty(points, np.int32)
    before = -1
    for k in range(points):
        for g in range(groups):
            if field[g, k] > 0:
                before = k
        lit[k] = before
    most = int(np.max(last - first)) + 1
    total = np.empty(max(most, 1), np.float32)
    # floats that are not negative order as their bits do, and a maximum of integers is vectorised
    bits, image_bits = total.view(np.int32), image.view(np.int32)
    white = np.float32(1)
    height, width = image.shape
    for i in range(height):
        for j in range(width):
            image[i, j] = 0.0
            lo, hi = first[i, j], last[i, j]
            if lo > hi or lit[hi] < lo:
                continue
            soma = away[i, j] + arc[hi]
            end = lit[hi] + 1
            place, sent, sent_bits = arc[lo:end], total[: end - lo], bits[: end - lo]
            # the first apart: to add to zeros would take twice as long
            narrow, row = narrows[0], field[0, lo:end]
            for k in range(len(sent)):
                d = soma - place[k]
                q = d * d * narrow
                sent[k] = row[k] * _falloff(q) if q <= limit else np.float32(0)
            for g in range(1, groups):
                narrow, row = narrows[g], field[g, lo:end]
                for k in range(len(sent)):
                    d = soma - place[k]
                    q = d * d * narrow
                    sent[k] += row[k] * _falloff(q) if q <= limit else np.float32(0)
            best = np.int32(0)
            for k in range(len(sent)):
                best = max(best, sent_bits[k])
            image_bits[i, j] = best
            if image[i, j] > white:
                image[i, j] = white
