"""Published distributions of receptive fields in macaque V1, and how units are drawn from them.

Orientation: De Valois, Yund & Hepler 1982. Spatial frequency: De Valois, Albrecht & Thorell 1982. Gabor widths in
cycles: Ringach 2002. Correlation of frequency and width, and all tables as used by Dapello et al. 2020.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
ORIENTATION_DEG = np.array([-22.5, 22.5, 67.5, 112.5, 157.5])
ORIENTATION_CELLS = np.array([66, 49, 77, 54])
FREQUENCY_CPD = np.array([0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0])
FREQUENCY_CELLS = np.array([4, 4, 8, 25, 32, 26, 28, 12])
WIDTH_CYCLES = np.logspace(-1, 0.2, 6)
# rows: width across the stripes, columns: along them
WIDTH_CELLS = np.array([[2, 0, 1, 0, 0], [8, 9, 4, 1, 0], [1, 2, 19, 17, 3], [0, 0, 1, 7, 4], [0, 0, 0, 0, 0]])
FREQUENCY_TO_WIDTH = 0.75
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Tuning:
    """Per unit f64[n]: preferred frequency in cycles per degree, and Gabor widths across and along in cycles."""

    frequency_cpd: F64
    across_cycles: F64
    along_cycles: F64
    share_beyond: float


def draw_orientations(random: np.random.Generator, n: int) -> F64:
    """Return preferred orientations f64[n] in radians."""
    return np.asarray(np.deg2rad(_quantile(random.random(n), ORIENTATION_DEG, ORIENTATION_CELLS)))


def draw_tuning(random: np.random.Generator, scale: F64, limit_cpd: float) -> Tuning:
    """Draw frequencies times ``scale`` f64[n], none above ``limit_cpd``, with widths correlated to them.

    A unit beyond the limit is drawn again from the same joint distribution (exactly: by truncating it);
    ``share_beyond`` is the share that had to be.
    """
    n = len(scale)
    kept = np.array([_share_below(limit_cpd / s) for s in scale])
    rank = random.random(n) * kept
    normal = np.array([_NORMAL.inv_cdf(min(max(r, 1e-12), 1 - 1e-12)) for r in rank])
    mixed = FREQUENCY_TO_WIDTH * normal + math.sqrt(1 - FREQUENCY_TO_WIDTH**2) * random.standard_normal(n)
    width_rank = np.array([_NORMAL.cdf(z) for z in mixed])
    across = _quantile(width_rank, WIDTH_CYCLES, WIDTH_CELLS.sum(axis=1), even_in_log=True)
    row = np.clip(np.searchsorted(WIDTH_CYCLES, across, side="right") - 1, 0, 3)
    along_rank, along = random.random(n), np.empty(n)
    for k in range(4):
        along[row == k] = _quantile(along_rank[row == k], WIDTH_CYCLES, WIDTH_CELLS[k], even_in_log=True)
    frequency = scale * _quantile(rank, FREQUENCY_CPD, FREQUENCY_CELLS, even_in_log=True)
    return Tuning(frequency, across, along, float(1 - kept.mean()))


def _share_below(frequency_cpd: float) -> float:
    """Return the share of the published units below a frequency, even in log within a bin."""
    place = np.interp(math.log(frequency_cpd), np.log(FREQUENCY_CPD), np.arange(len(FREQUENCY_CPD)))
    below = np.concatenate([[0], np.cumsum(FREQUENCY_CELLS)]) / FREQUENCY_CELLS.sum()
    return float(np.interp(place, np.arange(len(below)), below))


def _quantile(rank: F64, edges: F64, cells: npt.NDArray[np.int_], even_in_log: bool = False) -> F64:
    """Return the values at ``rank`` 0..1 of a histogram."""
    below = np.concatenate([[0.0], np.cumsum(cells) / cells.sum()])
    bin_of = np.clip(np.searchsorted(below, rank, side="right") - 1, 0, len(cells) - 1)
    width = np.where(cells > 0, cells / cells.sum(), 1.0)[bin_of]
    within = np.clip((rank - below[bin_of]) / width, 0.0, 1.0)
    axis = np.log(edges) if even_in_log else edges
    value = axis[bin_of] + within * (axis[bin_of + 1] - axis[bin_of])
    return np.asarray(np.exp(value) if even_in_log else value)
