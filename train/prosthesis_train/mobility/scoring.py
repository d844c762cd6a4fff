"""Collisions of walkers on the same starts, the share of the blind-to-sighted gap closed, and bootstrap intervals.

A cluster is one start with all its seeds: walkers are paired on starts, and seeds are not independent scenes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ProsthesisError
from prosthesis_train.mobility.episodes import Walk

F64 = npt.NDArray[np.float64]
DRAWS, SEED = 2_000, 5


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % percentile interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Tally:
    """Walks of one condition by start, f64[starts, seeds] each."""

    collisions: F64
    bumps: F64
    walked_m: F64
    ground: F64

    def taken(self, starts: npt.NDArray[np.int64]) -> Tally:
        """Return the tally of some starts, with repetition."""
        return Tally(self.collisions[starts], self.bumps[starts], self.walked_m[starts], self.ground[starts])


def tally(by_seed: Sequence[Sequence[Walk]]) -> Tally:
    """Return the tally of one condition's walks, a list for each seed; all over the same starts in the same order."""
    keys = [[(w.map, w.start) for w in walks] for walks in by_seed]
    if any(k != keys[0] for k in keys):
        raise ProsthesisError("walks of different seeds begin at different starts; measure the condition again")

    def column(of: Callable[[Walk], float]) -> F64:
        found: F64 = np.array([[of(w) for w in walks] for walks in by_seed], np.float64).T
        return found

    return Tally(
        column(lambda w: w.collisions),
        column(lambda w: w.bumps),
        column(lambda w: w.walked_m),
        column(lambda w: w.ground),
    )


def per_100_m(one: Tally) -> float:
    """Return collisions per 100 m walked: all of them over all metres, so a walker that only pushes counts in full."""
    return float(100 * one.collisions.sum() / max(one.walked_m.sum(), 1e-9))


def gap_closed(one: Tally, blind: Tally, sighted: Tally) -> float:
    """Return the share of the blind-to-sighted gap in collisions per 100 m that a walker closes; over 1: beyond it."""
    gap = per_100_m(blind) - per_100_m(sighted)
    return (per_100_m(blind) - per_100_m(one)) / gap if gap > 0 else float("nan")


def bootstrapped(statistic: Callable[..., float], *tallies: Tally) -> Estimate:
    """Return a statistic of tallies over the same starts, with the starts drawn anew for all of them together."""
    n = len(tallies[0].collisions)
    if any(len(t.collisions) != n for t in tallies):
        raise ProsthesisError("tallies are not over the same starts; measure all conditions on the same ones")
    random = np.random.default_rng(SEED)
    draws = np.empty(DRAWS)
    for k in range(DRAWS):
        pick = random.integers(n, size=n)
        draws[k] = statistic(*(t.taken(pick) for t in tallies))
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Estimate(statistic(*tallies), float(low), float(high))
