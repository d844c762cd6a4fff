"""How good a map is on trials it has not seen: decoding, encoding, round trips, conditioning, posterior.

Nuisances are never those of the trial judged: point predictions take them at their mean, ``sampled_*`` draw them from
other trials. A round trip that keeps the nuisance only shows that the arithmetic is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.codemap import CodeMap, Floats

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judged:
    """``latent_error`` is the decoding MSE as a share of the codes' variance, ``encoding_r`` Pearson's r of each site.

    ``encoding_r`` f64[n] is 0 where either side is constant. ``sampled_latent_error`` and ``sampled_encoding_r`` (mean
    over sites) are those of single draws of the nuisances.
    """

    latent_error: float
    encoding_r: F64
    sampled_latent_error: float
    sampled_encoding_r: float

    @property
    def mean_r(self) -> float:
        """Return the mean encoding r over sites."""
        return float(self.encoding_r.mean())


def judge(code_map: CodeMap, machine: F64, brain: F64, others: tuple[F64, F64], seed: int = 0) -> Judged:
    """Judge a map on codes f64[b, d] and responses f64[b, n]; ``others`` are trials to draw nuisances from."""
    random = np.random.default_rng(seed)
    u = code_map.brain_nuisance(others[1][random.integers(0, len(others[1]), len(brain))])
    e = code_map.machine_nuisance(others[0][random.integers(0, len(others[0]), len(machine))])
    encoded = code_map.to_brain(machine)
    return Judged(
        latent_error(code_map.to_machine(brain), machine),
        correlation(encoded, brain),
        latent_error(code_map.to_machine(brain, e if e.shape[1] else None), machine),
        float(correlation(encoded + u, brain).mean()),
    )


def latent_error(decoded: Floats, machine: Floats) -> float:
    """Return the mean squared error over the mean variance of the codes: 1 is what their mean would get.

    >>> codes = np.random.default_rng(0).standard_normal((100, 5))
    >>> latent_error(codes, codes), round(latent_error(np.broadcast_to(codes.mean(0), codes.shape), codes), 6)
    (0.0, 1.0)
    """
    return float(np.square(decoded - machine).mean() / machine.var(0).mean())


def correlation(one: Floats, other: Floats) -> F64:
    """Return Pearson's r of each column f64[n]; 0 where a column is constant."""
    a, b = one - one.mean(0), other - other.mean(0)
    power = np.sqrt(np.square(a).sum(0) * np.square(b).sum(0))
    r: F64 = np.divide((a * b).sum(0), power, out=np.zeros(a.shape[1]), where=power > 1e-12)
    return r


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Largest and root-mean-square differences after there and back, in standard deviations of each side."""

    machine_max: float
    machine_rms: float
    brain_max: float
    brain_rms: float


def round_trip(code_map: CodeMap, machine: F64, brain: F64, carried: type[np.floating[Any]] = np.float64) -> RoundTrip:
    """Carry codes f64[b, d] and responses f64[b, n] there and back with their own nuisances.

    ``carried`` is the precision of every code and response, as messages carry them: given, half way, and nuisances.
    """

    def kept(values: Floats) -> F64:
        return values.astype(carried).astype(np.float64)

    machine, brain = kept(machine), kept(brain)
    e, u = kept(code_map.machine_nuisance(machine)), kept(code_map.brain_nuisance(brain))
    there = code_map.to_machine(kept(code_map.to_brain(machine)), e if e.shape[1] else None) - machine
    back = code_map.to_brain(kept(code_map.to_machine(brain)), u) - brain
    of_z, of_r = machine.std() or 1.0, brain.std() or 1.0
    return RoundTrip(
        float(np.abs(there).max() / of_z),
        float(np.sqrt(np.square(there / of_z).mean())),
        float(np.abs(back).max() / of_r),
        float(np.sqrt(np.square(back / of_r).mean())),
    )


def jacobian_spectrum(code_map: CodeMap, machine: F64, step: float = 1e-5) -> F64:
    """Return the singular values f64[b, k] of d q / d z at codes f64[b, d], largest first, by central differences.

    q are the numbers that responses and codes share, in standard deviations, and so are the codes: a condition number
    does not depend on units.
    """
    scale = machine.std(0)
    spread = code_map.to_brain(machine) - code_map.brain_mean
    q_scale = np.maximum((spread @ code_map.brain_code).std(0), 1e-12)
    found = []
    for z in machine:
        moves = step * np.diag(scale)
        there, back = (code_map.to_brain(z + sign * moves) - code_map.brain_mean for sign in (1, -1))
        slope = ((there - back) @ code_map.brain_code) / (2 * step * q_scale)
        found.append(np.linalg.svd(slope, compute_uv=False))
    return np.array(found)
