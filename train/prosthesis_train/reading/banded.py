"""Banded ridge: several recordings of one brain combined, each with a penalty of its own.

One penalty for all would fit neither a quiet, fine recording nor a noisy, coarse one (Nunez-Elizalde et al. 2019; Dupre
la Tour et al. 2022). A band may also be dropped (penalty infinite), so one of pure noise costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ProsthesisError

F64 = npt.NDArray[np.float64]

ALPHAS = tuple(10.0**k for k in range(-2, 6))
RATIOS = (1.0, 10.0, 100.0, 1000.0, float("inf"))  # of a band's penalty to the least penalised one's
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Banded:
    """A fitted reader: ``alphas`` f64[bands], inf where a band is dropped, and a linear map of the scaled bands."""

    alphas: F64
    means: tuple[F64, ...]
    scales: tuple[F64, ...]
    weights: F64
    intercept: F64

    def predict(self, bands: Sequence[F64]) -> F64:
        """Return f64[n,t] for bands f64[n,d_m], in the order they were fitted."""
        if [b.shape[1] for b in bands] != [len(m) for m in self.means]:
            raise ProsthesisError(f"bands of {[len(m) for m in self.means]} columns were fitted; give those, in order")
        scaled = [(b - m) / s for b, m, s in zip(bands, self.means, self.scales, strict=True)]
        return np.concatenate(scaled, axis=1) @ self.weights + self.intercept


def fit_banded(bands: Sequence[F64], targets: F64, alphas: Sequence[float] = ALPHAS, seed: int = 0) -> Banded:
    """Fit bands f64[n,d_m] to targets f64[n,t]; penalties are those of the least squared error in 5 folds.

    Columns are scaled to variance 1; a constant one counts for nothing. Raises ``ProsthesisError`` on NaN, on bands of
    different length, and on fewer rows than twice the folds.
    """
    _check(bands, targets)
    fold = np.random.default_rng(seed).permutation(len(targets)) % FOLDS
    ratios = [r for r in product(RATIOS, repeat=len(bands)) if min(r) == 1]
    errors = np.zeros((len(ratios), len(alphas)))
    for k in range(FOLDS):
        means, scales = _moments([b[fold != k] for b in bands])
        scaled = [(b - m) / s for b, m, s in zip(bands, means, scales, strict=True)]
        mean = targets[fold != k].mean(0)
        for i, ratio in enumerate(ratios):
            x = np.concatenate([b / np.sqrt(r) for b, r in zip(scaled, ratio, strict=True)], axis=1)
            found = ridge_path(x[fold != k], targets[fold != k] - mean, x[fold == k], alphas)
            errors[i] += ((found + mean - targets[fold == k]) ** 2).sum((1, 2))
    best, alpha = divmod(int(errors.argmin()), len(alphas))
    return fit_with(bands, targets, alphas[alpha] * np.array(ratios[best]))


def fit_with(bands: Sequence[F64], targets: F64, alphas: F64) -> Banded:
    """Fit with given penalties f64[bands]: ridge on the bands side by side, each divided by its penalty's root."""
    _check(bands, targets)
    means, scales = _moments(bands)
    root = np.repeat(1 / np.sqrt(alphas), [b.shape[1] for b in bands])
    x = np.concatenate([(b - m) / s for b, m, s in zip(bands, means, scales, strict=True)], axis=1) * root
    mean = targets.mean(0)
    weights = root[:, None] * ridge_path(x, targets - mean, np.eye(x.shape[1]), (1.0,))[0]
    return Banded(alphas, means, scales, weights, mean)


def ridge_path(x: F64, y: F64, new: F64, alphas: Sequence[float]) -> F64:
    """Return predictions f64[a,m,t] for rows ``new`` f64[m,d] at every penalty: one decomposition for all of them."""
    wide = x.shape[1] > len(x)
    values, vectors = np.linalg.eigh(x @ x.T if wide else x.T @ x)
    left = new @ (x.T @ vectors if wide else vectors)
    right = vectors.T @ (y if wide else x.T @ y)
    shrunk = 1 / (np.maximum(values, 0) + np.asarray(alphas)[:, None])
    out: F64 = (left[None] * shrunk[:, None, :]) @ right
    return out


def _moments(bands: Sequence[F64]) -> tuple[tuple[F64, ...], tuple[F64, ...]]:
    deviations = [b.std(0) for b in bands]
    scales = tuple(
        np.where(d > 1e-12 * np.abs(b).max(initial=1), d, np.inf) for b, d in zip(bands, deviations, strict=True)
    )
    return tuple(b.mean(0) for b in bands), scales


def _check(bands: Sequence[F64], targets: F64) -> None:
    if not bands or targets.ndim != 2 or any(b.ndim != 2 or len(b) != len(targets) for b in bands):
        raise ProsthesisError(
            f"bands of shapes {[b.shape for b in bands]} and targets of shape {targets.shape} do not go together: "
            "give f64[n,columns] of one n"
        )
    if len(targets) < 2 * FOLDS:
        raise ProsthesisError(f"{len(targets)} rows are too few to choose penalties by {FOLDS} folds")
    if not all(np.isfinite(part).all() for part in (*bands, targets)):
        raise ProsthesisError("a band or the targets hold NaN or infinity; leave those rows or columns out")
