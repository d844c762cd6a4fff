"""Intervals of an accuracy over patients and trials: both are a sample, so both are drawn again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

DRAWS = 2000


def interval(right: npt.NDArray[np.bool_], level: float = 0.95, seed: int = 0, asked: int = 1) -> tuple[float, float]:
    """Return the two-level percentile bootstrap interval of the mean of bool[patients, trials].

    Patients are drawn with replacement, then trials within each. With one patient it tells of trials only; with three
    it is wide, as it should be. Of ``asked`` answers to one picture none is news, so they count as one trial.
    """
    patients, trials = right.shape[0], right.shape[1] // asked
    random = np.random.default_rng(seed)
    who = random.integers(patients, size=(DRAWS, patients))
    # the number right of as many trials drawn again from one patient is binomial
    means = random.binomial(trials, right.mean(axis=1)[who]).mean(axis=1) / trials
    low, high = np.quantile(means, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)
