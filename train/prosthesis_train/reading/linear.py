"""Linear maps between machine codes and brain codes, each fitted in closed form as a ``CodeMap`` without layers.

All take codes z f64[N, d] and responses r f64[N, n]. With n >= d the brain carries all of a code; with n < d it leaves
d - n numbers of it open. W is always the regression of responses on codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import RidgeCV

from prosthesis.codemap import CodeMap, Floats

F64 = npt.NDArray[np.float64]
ALPHAS = np.logspace(0, 8, 17)  # of responses in standard deviations; chosen by leave-one-out (Golub et al. 1979)
CONTROLLED = 0.02  # a correlation below this is taken for it: nothing is divided by less


def ols(machine: F64, brain: F64) -> CodeMap:
    """OLS encoder and its pseudo-inverse: the map of Mozafari, Reddy & VanRullen 2020."""
    z, r, means = centred(machine, brain)
    w = np.linalg.lstsq(z, r, rcond=None)[0]
    u, s, vt = np.linalg.svd(w, full_matrices=True)
    k = min(w.shape)
    inverse = np.divide(1.0, s, out=np.zeros_like(s), where=s > 1e-10 * s[0])
    return CodeMap("ols", *means, u, u.T, vt[:k].T * inverse, s[:, None] * vt[:k])


def gls(machine: F64, brain: F64) -> CodeMap:
    """OLS encoder and its generalised-least-squares inverse: the best unbiased linear decoder under its noise.

    The noise's covariance is that of the residuals, shrunk (Ledoit & Wolf 2004). With n < d, or fewer trials than
    numbers, the inverse is the one that codes as they are distributed make most likely.
    """
    z, r, means = centred(machine, brain)
    w = np.linalg.lstsq(z, r, rcond=None)[0]
    d, n = w.shape
    if n < d:
        return _most_likely_inverse(z, w, means)
    noise = ledoit_wolf(r - z @ w, assume_centered=True)[0]
    weighted = np.linalg.solve(noise, w.T)
    decode = weighted @ np.linalg.pinv(w @ weighted, rcond=1e-10, hermitian=True)
    return CodeMap("gls", *means, np.eye(d), np.eye(d), decode, w)


def _most_likely_inverse(z: F64, w: Floats, means: tuple[F64, F64]) -> CodeMap:
    n = w.shape[1]
    spread = ledoit_wolf(z, assume_centered=True)[0]
    carried = np.linalg.solve(w.T @ spread @ w, w.T @ spread)
    left_open = np.linalg.svd(w, full_matrices=True)[0][:, n:].T
    basis = np.concatenate((carried, left_open))
    return CodeMap("gls", *means, np.linalg.inv(basis), basis, np.eye(n), np.eye(n))


def ridge(machine: F64, brain: F64) -> CodeMap:
    """Ridge decoder, and its pseudo-inverse as encoder."""
    z, r, means = centred(machine, brain)
    decode = ridge_weights(r, z)
    u, s, vt = np.linalg.svd(decode, full_matrices=True)
    k = min(decode.shape)
    scale = np.ones(z.shape[1])
    scale[:k] = np.maximum(s, 1e-10 * s[0])
    return CodeMap("ridge", *means, vt.T / scale, scale[:, None] * vt, u[:, :k], u[:, :k].T)


def two_maps(machine: F64, brain: F64) -> CodeMap:
    """OLS encoder and ridge decoder, fitted apart: each the best linear one of its direction, and no bijection."""
    z, r, means = centred(machine, brain)
    w, decode = np.linalg.lstsq(z, r, rcond=None)[0], ridge_weights(r, z)
    d, n = w.shape
    if n >= d:
        return CodeMap("two maps", *means, np.eye(d), np.eye(d), decode, w)
    pad = np.zeros((d, d - n))
    return CodeMap("two maps", *means, np.hstack((w, pad)), np.vstack((decode, pad.T)), np.eye(n), np.eye(n))


def procrustes(machine: F64, brain: F64) -> CodeMap:
    """Orthogonal Procrustes (Schonemann 1966) between standardised responses and codes, with one gain."""
    z, r, means = centred(machine, brain)
    scale = spread_of(r)
    u, s, vt = np.linalg.svd(z.T @ (r / scale), full_matrices=True)
    k = min(z.shape[1], r.shape[1])
    gain = s.sum() / np.square(z @ u[:, :k]).sum()
    return CodeMap("procrustes", *means, u, u.T, vt[:k].T / scale[:, None] / gain, gain * vt[:k] * scale)


def pca(machine: F64, brain: F64) -> CodeMap:
    """PCA of the standardised responses to as many numbers as both have, then a square regression and its inverse."""
    z, r, means = centred(machine, brain)
    scale = spread_of(r)
    k = min(z.shape[1], r.shape[1])
    axes = np.linalg.svd(r / scale, full_matrices=False)[2][:k]
    encoded = ols(z, (r / scale) @ axes.T)
    code, basis = axes.T @ encoded.brain_code / scale[:, None], encoded.brain_basis @ axes * scale
    return CodeMap("pca", *means, encoded.machine_code, encoded.machine_basis, code, basis)


@dataclass(frozen=True, slots=True)
class CanonicalPairs:
    """Canonical pairs (Hotelling 1936) of codes and responses: correlations c f64[k], and both sides' directions."""

    means: tuple[F64, F64]
    scale: F64
    c: F64
    code: F64
    brain_code: F64
    brain_basis: F64
    shrink: float

    def at(self, exponent: float) -> CodeMap:
        """Return the map that gives each pair the gain c^exponent.

        In whitened coordinates the best encoder is c, the best decoder of a pair 1/c times the response, so no exact
        linear map is best in both: exponent 1 is the encoder with its inverse, -1 the decoder with its, 0 between.
        """
        gain = np.clip(self.c, CONTROLLED, 1.0) ** exponent
        brain_code = self.brain_code / gain / self.scale[:, None]
        brain_basis = gain[:, None] * self.brain_basis * self.scale
        machine_basis = np.linalg.solve(self.code, np.eye(len(self.code)))
        name = f"canonical {exponent:g}, {self.shrink:g}"
        return CodeMap(name, *self.means, self.code, machine_basis, brain_code, brain_basis)


def canonical(machine: F64, brain: F64, shrink: float) -> CanonicalPairs:
    """Return the canonical pairs of codes and responses.

    ``shrink`` in 0..1 is the share of the responses' covariance, in standard deviations, that is replaced by the
    identity. The responses' k directions span S^-1 W, those of the generalised-least-squares statistic.
    """
    z, r, means = centred(machine, brain)
    scale, k = spread_of(r), min(z.shape[1], r.shape[1])
    r = r / scale
    of_z = ledoit_wolf(z, assume_centered=True)[0]
    of_r = (1 - shrink) * (r.T @ r) / len(r) + shrink * np.eye(r.shape[1])
    z_root, r_root = np.linalg.cholesky(of_z), np.linalg.cholesky(of_r)
    both = np.linalg.solve(z_root, np.linalg.solve(r_root, r.T @ z / len(z)).T)
    u, c, vt = np.linalg.svd(both, full_matrices=True)
    code, brain_code = np.linalg.solve(z_root.T, u), np.linalg.solve(r_root.T, vt[:k].T)
    return CanonicalPairs(means, scale, c[:k], code, brain_code, vt[:k] @ r_root.T, shrink)


def ridge_weights(inputs: F64, outputs: F64) -> F64:
    """Return weights f64[i, o] of a ridge regression of centred outputs on centred inputs, one penalty for all.

    The penalty is chosen with an intercept: without one, leaving a trial out of data that were centred with it makes
    the least penalty look best when trials are few.
    """
    scale = spread_of(inputs)
    fitted = RidgeCV(ALPHAS).fit(inputs / scale, outputs)
    weights: F64 = np.atleast_2d(fitted.coef_).T / scale[:, None]
    return weights


def centred(machine: F64, brain: F64) -> tuple[F64, F64, tuple[F64, F64]]:
    """Return both sides without their means, and the means."""
    means = machine.mean(0), brain.mean(0)
    return machine - means[0], brain - means[1], means


def spread_of(values: F64) -> F64:
    """Return the standard deviation of each column, 1 for a constant one: a dead site says nothing at any scale."""
    found = values.std(0)
    return np.where(found > 1e-12, found, 1.0)
