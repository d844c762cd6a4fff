"""Monotone per-electrode curves, as calibration measures them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


class Curve:
    """One rising piecewise-linear curve an electrode: ``xs`` and ``ys`` f64[n, k], rows never falling.

    Below the first point the curve runs to the origin; beyond the last it is flat.
    """

    def __init__(self, xs: F64, ys: F64) -> None:
        zero = np.zeros((len(xs), 1))
        self._xs = np.ascontiguousarray(np.hstack((zero, xs)).T)
        self._ys = np.ascontiguousarray(np.hstack((zero, ys)).T)
        step = np.diff(self._xs, axis=0)
        rise = np.diff(self._ys, axis=0)
        self._slope = np.divide(rise, step, out=np.zeros_like(rise), where=step > 0)

    def __call__(self, x: npt.NDArray[np.floating]) -> F64:
        """Return y f64[n] at x[n]; NaN stays NaN."""
        # the sum over pieces of the part of each that x has passed: no search, no branches
        inside = np.clip(x, self._xs[:-1], self._xs[1:]) - self._xs[:-1]
        risen: F64 = np.einsum("kn,kn->n", inside, self._slope)
        jumps = np.where((self._xs[1:] == self._xs[:-1]) & (x >= self._xs[1:]), np.diff(self._ys, axis=0), 0.0)
        total: F64 = risen + jumps.sum(axis=0)
        return total
