"""Samples of the codes that a response leaves possible, from a nuisance of the map that is drawn anew.

A bijection with n >= d gives one code for a response, and the response is noisy: a point is no posterior. So the pair
(decoded code, e), with e f[d] standard normal, is carried to the code by the shear z = decoded + e R, which is one to
one and undone exactly (R triangular): e is the nuisance that says how this trial's noise fell. R R^T is the covariance
of decoding errors on trials that the map has not seen, the likelihood's maximum for Gaussian errors; whether they are
Gaussian enough is what ``coverage`` measures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, norm
from sklearn.covariance import ledoit_wolf

from prosthesis.codemap import CodeMap
from prosthesis.errors import ProsthesisError

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Posterior:
    """A map with the mean f64[d] and the factor R f64[d, d], upper triangular, of its decoding errors."""

    code_map: CodeMap
    mean: F64
    factor: F64

    def sample(self, responses: F64, draws: int, random: np.random.Generator) -> F64:
        """Return codes f64[draws, b, d] of responses f64[b, n]."""
        e = random.standard_normal((draws, len(responses), len(self.mean)))
        return np.asarray(self.code_map.to_machine(responses) + self.mean + e @ self.factor)

    def nuisance(self, machine: F64, responses: F64) -> F64:
        """Return e f64[b, d] with which codes f64[b, d] come from their responses: undoes ``sample``."""
        wrong = machine - self.code_map.to_machine(responses) - self.mean
        return np.asarray(np.linalg.solve(self.factor.T, wrong.T).T)


def fit_posterior(code_map: CodeMap, machine: F64, brain: F64) -> Posterior:
    """Fit the nuisance's factor on trials that ``code_map`` was *not* fitted to: codes f64[N, d], responses f64[N, n].

    Raises ``ProsthesisError`` when there are no more trials than numbers in a code.
    """
    if len(machine) <= code_map.d:
        raise ProsthesisError(
            f"{len(machine)} trials for the errors of {code_map.d} numbers; give more of them, unseen by the map"
        )
    wrong = machine - code_map.to_machine(brain)
    mean = wrong.mean(0)
    covariance = ledoit_wolf(wrong - mean, assume_centered=True)[0]
    return Posterior(code_map, mean, np.linalg.cholesky(covariance).T)


def coverage(posterior: Posterior, machine: F64, responses: F64, level: float = 0.9) -> tuple[float, float]:
    """Return the share of codes inside their interval of ``level``, per number, and inside the joint ellipsoid."""
    wrong = machine - posterior.code_map.to_machine(responses) - posterior.mean
    half = norm.ppf(0.5 + level / 2) * np.sqrt(np.square(posterior.factor).sum(0))
    joint = np.square(posterior.nuisance(machine, responses)).sum(1) <= chi2.ppf(level, len(posterior.mean))
    return float((np.abs(wrong) <= half).mean()), float(joint.mean())
