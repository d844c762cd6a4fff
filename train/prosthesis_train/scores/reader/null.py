"""The permutation null, as measured: how high the scores get when nothing belongs together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prosthesis_train.scores.reader.pairs import Paired, percentiles
from prosthesis_train.scores.reader.reading import Array

PERMUTATIONS = 499
LEVEL = 0.01  # three controls a card: at 5 % one card in seven would raise a false alarm


@dataclass(frozen=True, slots=True)
class Null:
    """Mean and middle 95 % of one score under the null, and how rare the score is there.

    ``p`` is corrected for all the scores of the row together.
    """

    mean: float
    low: float
    high: float
    p: float


def permuted(scores: list[Paired], n: int, seed: int, permutations: int = PERMUTATIONS) -> Array:
    """Return f64[permutations,scores]: every score under the same random orders of the reconstructions."""
    rng = np.random.default_rng(seed)
    orders = (rng.permutation(n) for _ in range(permutations))
    return np.array([[score.dealt(order) for score in scores] for order in orders])


def tested(scores: list[Paired], null: Array) -> list[Null]:
    """Return each score's null, with the p of the largest standardised score in its row (Westfall & Young 1993).

    So a row that knows nothing has a score with p <= 0.01 in one card of a hundred, however many scores it has.
    A score that no order changes is no evidence: its p is 1.
    """
    sign = np.array([score.sign for score in scores])
    values = np.array([score.value for score in scores])
    mean, sd = null.mean(0), null.std(0)
    moves = sd > 1e-9 * (1 + np.abs(mean))
    scale = np.where(moves, sd, 1)
    z = np.where(moves, sign * (values - mean) / scale, -np.inf)
    most = np.where(moves, sign * (null - mean) / scale, -np.inf).max(1)
    out = []
    for k in range(len(scores)):
        p = (1 + int((most >= z[k] - 1e-9).sum())) / (1 + len(null)) if moves[k] else 1.0
        out.append(Null(float(mean[k]), *percentiles(null[:, k]), p))
    return out
