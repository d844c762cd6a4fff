"""Monotone per-electrode curves, as calibration measures them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


class Curve:
    """One rising piecewise-linear curve an electrode: ``xs`` and ``ys`` f64[n, k], rows never falling.

    Below the first point the curve runs through the origin; beyond the last it is flat.

    >>> curve = Curve(np.array([[0.2, 1.0]]), np.array([[10.0, 50.0]]))  # one electrode, two measured points
    >>> [float(curve(np.array([x]))[0]) for x in (0.0, 0.1, 0.6, 2.0)]
    [0.0, 5.0, 30.0, 50.0]
    """

    def __init__(self, xs: F64, ys: F64) -> None:
        n, k = xs.shape
        zero = np.zeros((n, 1))
        xs, ys = np.hstack((zero, xs)), np.hstack((zero, ys))
        step, rise = np.diff(xs, axis=1), np.diff(ys, axis=1)
        slope = np.divide(rise, step, out=np.zeros_like(rise), where=step > 0)
        self._later = np.ascontiguousarray(xs[:, 1:].T)
        self._row = np.arange(n) * (k + 1)
        self._x, self._y, self._slope = xs.ravel(), ys.ravel(), np.hstack((slope, zero)).ravel()

    def __call__(self, x: npt.NDArray[np.floating]) -> F64:
        """Return y f64[n] at x[n]: 0 at or below 0; NaN stays NaN."""
        piece = (x >= self._later).sum(axis=0)
        piece += self._row
        y: F64 = self._y[piece] + self._slope[piece] * (x - self._x[piece])
        # a measured curve may rise at 0 itself, where the line above says its first value: nothing asked, nothing sent
        y[x <= 0] = 0.0
        return y


def rising(values: Sequence[float]) -> tuple[float, ...]:
    """Return the nearest never-falling curve in 0..1, in least squares (pool adjacent violators).

    >>> rising([0.0, 0.4, 0.2, 0.9])
    (0.0, 0.3, 0.3, 0.9)
    """
    blocks: list[tuple[float, int]] = []
    for value in values:
        total, count = value, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            total, count = total + blocks[-1][0], count + blocks[-1][1]
            blocks.pop()
        blocks.append((total, count))
    flat = [total / count for total, count in blocks for _ in range(count)]
    return tuple(round(min(max(v, 0.0), 1.0), 4) for v in flat)
