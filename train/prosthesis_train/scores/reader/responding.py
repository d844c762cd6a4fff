"""Scores that need a brain's responses: whether a reconstruction drives the sites as the picture did."""

from __future__ import annotations

import warnings

import numpy as np
import torch

from prosthesis_train.data.images import imported
from prosthesis_train.scores.reader.ceiling import LEAST_RELIABILITY, Sites, reliability
from prosthesis_train.scores.reader.pairs import RECONSTRUCTION, Paired, percentiles
from prosthesis_train.scores.reader.reading import Array

PLS_COMPONENTS = 25  # as Brain-Score has (Schrimpf et al. 2018)
MEASURED, CORRECTED = "controllability, as measured", "controllability"
FOLDS = 5
PLS_SITES = 100  # drawn by seed where there are more: the median needs no more, and each costs


def controllability(sites: Sites, again: Array, weights: Array, corrected: bool) -> Paired:
    """Return the median over sites of Pearson's r over pictures: responses to the picture and to its reconstruction.

    ``again`` f[repeats,n,sites]. ``corrected`` divides by the ceiling of each site, which needs repeats, and by that of
    the reconstructions' responses if those were repeated too. A site that answers every reconstruction alike counts as
    0.
    """
    again = np.asarray(again, np.float64)[:, :, sites.kept]
    x, y, scale = _standard(sites.mean), _standard(again.mean(0)), np.ones(sites.mean.shape[1])
    if corrected:
        assert sites.ceiling is not None
        scale = 1 / sites.ceiling
        if len(again) > 1:
            scale = scale / np.sqrt(np.maximum(reliability(again), LEAST_RELIABILITY))
    real, made = torch.from_numpy(x).float(), torch.from_numpy(y).float()

    def dealt(order: Array) -> float:
        return float(np.median((real * made[torch.from_numpy(order)]).mean(0).numpy() * scale))

    value = float(np.median((x * y).mean(0) * scale))
    low, high = percentiles(np.median(_resampled_r(x, y, weights) * scale, axis=1))
    return Paired(CORRECTED if corrected else MEASURED, RECONSTRUCTION, value, low, high, dealt)


def _resampled_r(x: Array, y: Array, weights: Array) -> Array:
    """Return Pearson's r f64[resamples,sites] of columns, each resample given by its weights of rows."""
    mx, my = weights @ x, weights @ y
    spread = (weights @ np.square(x) - mx**2) * (weights @ np.square(y) - my**2)
    covariance = weights @ (x * y) - mx * my
    out: Array = np.divide(covariance, np.sqrt(np.maximum(spread, 0)), out=np.zeros_like(mx), where=spread > 1e-12)
    return out


def _standard(rows: Array) -> Array:
    """Return columns of mean 0 and variance 1, or all 0 where a column is constant."""
    centred, sd = rows - rows.mean(0), rows.std(0)
    alive = sd > 1e-6 * (1e-6 + np.abs(rows).mean(0))
    out: Array = np.divide(centred, sd, out=np.zeros_like(centred), where=alive)
    return out


def predictivity(sites: Sites, features: Array, weights: Array, seed: int) -> tuple[float, float, float]:
    """Return how well a reconstruction's features predict the responses: after Brain-Score (Schrimpf et al. 2018).

    Partial least squares with 25 components, five folds, Pearson's r of held-out predictions over pictures, divided by
    the site's ceiling where repeats give one, median over sites; value, low and high. The same features of every
    condition go through it. It does not repeat Brain-Score's own data, splits or regions.
    """
    rng = np.random.default_rng(seed)
    n, varies = len(features), features.std(0) > 1e-5 * (1e-6 + np.abs(features).max(0))
    if not varies.any():
        return 0.0, 0.0, 0.0
    some = np.sort(rng.permutation(sites.mean.shape[1])[:PLS_SITES])
    x, y = features[:, varies].astype(np.float64), _standard(sites.mean[:, some])
    predicted, fold = np.zeros_like(y), rng.permutation(n) % min(FOLDS, n)
    regression = imported("sklearn.cross_decomposition", "train", "PLS predictivity").PLSRegression
    for k in np.unique(fold):
        held = fold == k
        rank = int(np.linalg.matrix_rank(x[~held] - x[~held].mean(0)))
        if rank == 0:
            continue
        with warnings.catch_warnings():
            # late components, which hold next to nothing, may not settle
            warnings.filterwarnings("ignore", "Maximum number of iterations")
            fitted = regression(min(PLS_COMPONENTS, rank), scale=False, tol=1e-4).fit(x[~held], y[~held])
        predicted[held] = fitted.predict(x[held]).reshape(-1, y.shape[1])
    scale = np.ones(len(some)) if sites.ceiling is None else 1 / sites.ceiling[some]
    p = _standard(predicted)
    low, high = percentiles(np.median(_resampled_r(y, p, weights) * scale, axis=1))
    return float(np.median((y * p).mean(0) * scale)), low, high
