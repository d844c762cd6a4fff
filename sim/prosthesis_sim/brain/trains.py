"""Spike times: silence until the latency, a transient, then the sustained rate; PSTHs of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prosthesis_sim.brain.noise import Noise, counts

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Course:
    """How an evoked rate runs in time; all chosen. ``transient`` is what it begins with above 1, falling with tau."""

    latency_s: float = 0.05
    transient: float = 1.5
    tau_s: float = 0.03

    def density(self, t_s: F64, duration_s: float) -> F64:
        """Return the evoked rate over its mean over ``duration_s``."""
        since = t_s - self.latency_s
        shape = np.where(since >= 0, 1 + self.transient * np.exp(-np.maximum(since, 0) / self.tau_s), 0.0)
        return np.asarray(shape * duration_s / self._mass(duration_s))

    def _mass(self, duration_s: float) -> float:
        lasts = duration_s - self.latency_s
        if lasts <= 0:
            raise ValueError(
                f"a window of {duration_s:g} s ends before the latency of {self.latency_s:g} s; lengthen it"
            )
        return float(lasts + self.transient * self.tau_s * -np.expm1(-lasts / self.tau_s))

    def draw(self, n: int, duration_s: float, random: np.random.Generator) -> F64:
        """Return ``n`` times of evoked spikes."""
        mass, lasts = self._mass(duration_s), duration_s - self.latency_s
        early = random.random(n) >= lasts / mass
        u = random.random(n)
        falling = -self.tau_s * np.log1p(u * np.expm1(-lasts / self.tau_s))
        return np.asarray(self.latency_s + np.where(early, falling, u * lasts))


@dataclass(frozen=True, slots=True)
class Spikes:
    """Spikes in no order: ``t_s`` f64[k] after onset, their ``trial`` and ``site`` i64[k]."""

    t_s: F64
    trial: I64
    site: I64
    trials: int
    sites: int
    duration_s: float

    def counts(self) -> F64:
        """Return counts f64[trials, sites]."""
        each = np.bincount(self.trial * self.sites + self.site, minlength=self.trials * self.sites)
        return each.reshape(self.trials, self.sites).astype(np.float64)


def spike_trains(
    rates_hz: F64,
    spontaneous_hz: F64,
    duration_s: float,
    random: np.random.Generator,
    noise: Noise | None = None,
    course: Course | None = None,
) -> Spikes:
    """Return one trial per row of ``rates_hz`` f64[b, n], none below ``spontaneous_hz`` f64[n].

    Counts are distributed as by ``counts``: rates are means over the window.
    """
    number = counts(rates_hz, duration_s, random, noise).astype(np.int64)
    trial, site = (np.repeat(index.ravel(), number.ravel()) for index in np.indices(number.shape))
    own = random.random(len(site)) < np.broadcast_to(spontaneous_hz, number.shape)[trial, site] / np.maximum(
        rates_hz[trial, site], 1e-12
    )
    evoked = (course or Course()).draw(len(site), duration_s, random)
    times = np.where(own, random.random(len(site)) * duration_s, evoked)
    return Spikes(times, trial, site, number.shape[0], number.shape[1], duration_s)


def psth(spikes: Spikes, bin_s: float) -> F64:
    """Return mean rates f64[bins, sites] in Hz over trials; the last bin may reach beyond the window."""
    bins = int(np.ceil(spikes.duration_s / bin_s - 1e-9))
    which = np.minimum((spikes.t_s / bin_s).astype(np.int64), bins - 1)
    each = np.bincount(which * spikes.sites + spikes.site, minlength=bins * spikes.sites)
    return np.asarray(each.reshape(bins, spikes.sites) / (spikes.trials * bin_s))
