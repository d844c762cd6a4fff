"""Scores of pairs: each can also say what it would be if reconstructions were dealt to pictures in another order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from prosthesis_train.scores.reader.reading import Array
from prosthesis_train.scores.two_afc import BLOCK, two_afc, unit_rows, wilson

DECODING, IDENTIFICATION, RECONSTRUCTION, GEOMETRY = "decoding", "identification", "reconstruction", "geometry"
BOOTSTRAPS = 200
RSA_PICTURES = 300  # 45,000 pairs: more would only cost


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """A score with its 95 % interval; ``dealt(order)`` is its value when picture i gets reconstruction order[i].

    ``shows`` is the word that it supports; ``sign`` is -1 where less is better.
    """

    name: str
    shows: str
    value: float
    low: float
    high: float
    dealt: Callable[[Array], float]
    sign: int = 1


def identified(name: str, of: Array | Tensor, made: Array | Tensor) -> Paired:
    """Return the machine's 2AFC in one space f[n,...]: the interval is that of the U-statistic."""
    x, y = (torch.as_tensor(a, dtype=torch.float32) for a in (of, made))
    choice, ranks = two_afc(x, y), _ranks(unit_rows(x), unit_rows(y))
    rows = torch.arange(len(x))

    def dealt(order: Array) -> float:
        return float(ranks[rows, torch.from_numpy(order)].double().mean())

    return Paired(name, IDENTIFICATION, choice.share, choice.low, choice.high, dealt)


def _ranks(x: Tensor, y: Tensor) -> Tensor:
    """Return f32[n,n]: how often reconstruction j is nearer to picture i than another one; ties count half."""
    parts = []
    for start in range(0, len(x), BLOCK):
        like = x[start : start + BLOCK] @ y.T
        in_order = like.sort(1).values
        below = torch.searchsorted(in_order, like - 1e-6)
        up_to = torch.searchsorted(in_order, like + 1e-6, right=True)
        parts.append((below + 0.5 * (up_to - below - 1)) / (len(x) - 1))
    return torch.cat(parts)


def correlated(name: str, of: Array | Tensor, made: Array | Tensor, weights: Array) -> Paired:
    """Return the mean over pictures of Pearson's r between a picture and its reconstruction."""
    x, y = (unit_rows(torch.as_tensor(a, dtype=torch.float32)) for a in (of, made))
    each = (x * y).sum(1).double().numpy()
    low, high = percentiles(weights @ each)
    like, rows = x @ y.T, torch.arange(len(x))

    def dealt(order: Array) -> float:
        return float(like[rows, torch.from_numpy(order)].double().mean())

    return Paired(name, RECONSTRUCTION, float(each.mean()), low, high, dealt)


def latent_error(true: Array, decoded: Array, weights: Array) -> Paired:
    """Return the mean squared error over all dimensions, over the variance of the true codes.

    0 is perfect, 1 as good as always saying the mean code, and near 2 is a code of the same spread that knows nothing.
    """
    true, decoded = true.astype(np.float64), decoded.astype(np.float64)
    square = np.square(true).sum(1)

    def of(errors: Array, sums: Array, squares: Array) -> Array:
        variance = squares - np.square(sums).sum(-1)
        out: Array = np.divide(errors, variance, out=np.full_like(errors, np.nan), where=variance > 1e-12)
        return out

    n, errors = len(true), np.square(true - decoded).sum(1)
    variance = square.mean() - np.square(true.mean(0)).sum()
    # a resample's variance is short by 1/n
    low, high = percentiles((n - 1) / n * of(weights @ errors, weights @ true, weights @ square))
    value = float(errors.mean() / variance)

    def dealt(order: Array) -> float:
        return float(np.square(true - decoded[order]).sum(1).mean() / variance)

    return Paired("latent error", DECODING, value, low, high, dealt, sign=-1)


def top1(name: str, predicted: Array, labels: Array) -> Paired:
    """Return the share of right labels; the interval is Wilson's."""
    right = int((predicted == labels).sum())
    low, high = wilson(right, len(labels))

    def dealt(order: Array) -> float:
        return float((predicted[order] == labels).mean())

    return Paired(name, DECODING, right / len(labels), low, high, dealt)


def rsa(of: Array, made: Array, seed: int) -> Paired:
    """Return Spearman's correlation of two dissimilarity matrices (1 - Pearson's r of features f[n,k]).

    Any map of the responses, even one fitted to wrong pairs, keeps some of their geometry: it shows that much and no
    more. Of at most ``RSA_PICTURES`` pictures. The interval resamples pictures and keeps the ranks of the whole; a
    picture drawn twice is no pair with itself.
    """
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(len(of))[:RSA_PICTURES])
    a, b = _ranked_rdm(of[some]), _ranked_rdm(made[some])
    m = len(some)
    upper = np.triu_indices(m, 1)
    value = _pearson(a[upper], b[upper])

    def resampled() -> float:
        rows = rng.integers(0, m, m)
        i, j = rows[upper[0]], rows[upper[1]]
        apart = i != j
        return _pearson(a[i[apart], j[apart]], b[i[apart], j[apart]])

    low, high = percentiles(np.array([resampled() for _ in range(BOOTSTRAPS)]))

    def dealt(order: Array) -> float:
        # the order among the chosen pictures that the whole order gives
        inner = np.argsort(np.argsort(order[some], kind="stable"), kind="stable")
        return _pearson(a[upper], b[inner[upper[0]], inner[upper[1]]])

    return Paired("RSA", GEOMETRY, value, low, high, dealt)


def _ranked_rdm(features: Array) -> Array:
    unit = unit_rows(torch.as_tensor(features)).double().numpy()
    distance = np.round(1 - unit @ unit.T, 6)  # rounding must not rank equal pictures
    upper = np.triu_indices(len(distance), 1)
    out = np.zeros_like(distance)
    out[upper] = rankdata(distance[upper])
    ranks: Array = out + out.T
    return ranks


def _pearson(a: Array, b: Array) -> float:
    if len(a) == 0:
        return float("nan")  # a resample of one picture over and over has no pairs
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return float((a * b).sum() / norm) if norm > 0 else 0.0


def bootstrap_weights(n: int, seed: int) -> Array:
    """Return f64[BOOTSTRAPS,n]: how much each picture weighs in each resample; rows sum to 1."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), BOOTSTRAPS) / n


def percentiles(values: Array) -> tuple[float, float]:
    """Return the middle 95 % of what is finite: a resample of one picture over and over has no variance."""
    low, high = np.percentile(values[np.isfinite(values)], (2.5, 97.5))
    return float(low), float(high)
