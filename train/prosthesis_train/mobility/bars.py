"""Nearness of obstacles by direction, and how it is painted: a bar in each direction, taller and brighter when nearer.

A wall that comes near fills the field; free ways stay dark.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prosthesis_train.mobility.protocol import FAR, MAP_SIDE, NEAR

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


def nearness(distance: F64) -> F32:
    """Return 0 (at ``FAR`` or beyond, or nothing) to 1 (at ``NEAR`` or closer), even in ratios of distance."""
    return np.asarray(np.log(FAR / np.clip(distance, NEAR, FAR)) / np.log(FAR / NEAR), np.float32)


def reach(rows: int = MAP_SIDE) -> F32:
    """Return how near an obstacle must be for its bar to reach each row, f32[rows]: 0 at eye level, 1 at the edges."""
    return np.abs(np.linspace(-1, 1, rows, dtype=np.float32))


def paint(near: F32) -> F32:
    """Return the map f32[rows, columns] of nearness f32[columns]; a bar's ends are a row wide."""
    edge = (near[None, :] - reach()[:, None]) * MAP_SIDE / 2 + 0.5
    return np.asarray(near[None, :] * np.clip(edge, 0.0, 1.0), np.float32)
