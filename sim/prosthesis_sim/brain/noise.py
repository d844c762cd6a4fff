"""Spike counts that vary more than Poisson, together: trial gains common to all sites and of each site alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Noise:
    """Gains with mean 1 and standard deviation ``gain_sd``, correlated by ``shared`` (0..1) between sites of a trial.

    Variance is mean + gain_sd^2 mean^2 (Goris, Movshon & Simoncelli 2014; their gain is gamma, this one log-normal).
    Defaults are chosen: two sites at 6 counts correlate by 0.1.
    """

    gain_sd: float = 0.3
    shared: float = 0.3

    def fano(self, mean_count: F64) -> F64:
        """Return variance over mean."""
        return np.asarray(1 + self.gain_sd**2 * mean_count)

    def correlation(self, first: F64, second: F64) -> F64:
        """Return the correlation of the counts of two sites with these mean counts."""
        both = self.shared * self.gain_sd**2 * np.sqrt(first * second)
        return np.asarray(both / np.sqrt(self.fano(first) * self.fano(second)))


POISSON = Noise(0.0, 0.0)


def gains(trials: int, n: int, random: np.random.Generator, noise: Noise) -> F64:
    """Return trial gains f64[trials, n]."""
    if noise.gain_sd == 0.0:
        return np.ones((trials, n))
    variance = np.log1p(noise.gain_sd**2)
    common = np.log1p(noise.shared * noise.gain_sd**2)
    log = np.sqrt(common) * random.standard_normal((trials, 1))
    log = log + np.sqrt(max(variance - common, 0.0)) * random.standard_normal((trials, n))
    return np.asarray(np.exp(log - variance / 2))


def counts(rates_hz: F64, duration_s: float, random: np.random.Generator, noise: Noise | None = None) -> F64:
    """Return spike counts f64[b, n] of one trial per row of ``rates_hz`` f64[b, n]; without ``noise`` as by default."""
    mean = np.asarray(rates_hz, np.float64) * duration_s
    return random.poisson(mean * gains(len(mean), mean.shape[1], random, noise or Noise())).astype(np.float64)


def noise_ceiling(repeats: F64) -> F64:
    """Return f64[n]: how well the true expected responses correlate with the mean over repeats f64[r, b, n].

    sqrt(S / (S + N / r)) with the variance S of expected responses over images and N of one trial about them; 0 where
    no signal is left. Raises ``ValueError`` below 2 repeats or 2 images.

    >>> shown = np.arange(4.0)[None, :, None]
    >>> noise_ceiling(np.repeat(shown, 3, axis=0)).tolist()  # three equal repeats of four images at one site
    [1.0]
    """
    r, b = repeats.shape[:2]
    if r < 2 or b < 2:
        raise ValueError(f"a noise ceiling needs 2 repeats of 2 images or more, not {r} of {b}; record more")
    trial = repeats.var(axis=0, ddof=1).mean(axis=0)
    total = repeats.mean(axis=0).var(axis=0, ddof=1)
    signal = np.maximum(total - trial / r, 0.0)
    return np.asarray(np.sqrt(signal / np.where(total > 0, total, 1.0)))
