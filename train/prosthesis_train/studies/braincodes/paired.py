"""Means over units, seeds or blocks, with the interval that a claim needs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from prosthesis.results import Figure

F64 = npt.NDArray[np.float64]


def mean_figure(name: str, values: F64, unit: str, of: str) -> Figure:
    """Return the mean of values f64[n] with Student's 95 % interval; ``of`` says what the n are."""
    n = len(values)
    half = float(student.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))
    mean = float(values.mean())
    return Figure(name, mean, unit, mean - half, mean + half, f"Student, 95 %, {n} {of}")
