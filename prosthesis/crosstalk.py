"""Measure what neighbours add: drive an electrode alone, then with one of its raster slot, and record at the first.

By its own calibrated curve, the rate that the neighbour adds is worth so much current; that over the neighbour's
current is its share. Their median is taken over pairs of about the same distance (an electrode whose current has few
steps has a rough curve), and made to fall with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prosthesis.calibration import Crosstalk
from prosthesis.curves import rising

F64 = npt.NDArray[np.float64]
Record = Callable[[int, Mapping[int, float]], "float | None"]

REACH_MM = 3.0
BIN_MM = 0.1
MOST_BINS, PAIRS_A_BIN = 12, 4
# where on the way from threshold to maximum both electrodes are driven: the neighbour's share must not saturate
DRIVEN_AT = 0.5


@dataclass(frozen=True, slots=True)
class Site:
    """What is known of one usable electrode; ``activity`` [k] is at the calibration's ``fraction`` [k]."""

    electrode: int
    threshold_ua: float
    max_ua: float
    evoked_hz: float
    activity: tuple[float, ...]

    @property
    def driven_ua(self) -> float:
        """The current of the trials."""
        return self.threshold_ua + DRIVEN_AT * (self.max_ua - self.threshold_ua)

    def current_ua(self, rate_hz: float, fraction: Sequence[float]) -> float:
        """Return the current that evokes this rate, by the site's own curve."""
        # np.interp wants strictly rising places; the least slope keeps flat parts of a measured curve harmless
        activity = np.asarray(self.activity) + 1e-9 * np.arange(len(fraction))
        share = float(np.interp(rate_hz / max(self.evoked_hz, 1e-9), activity, fraction))
        return self.threshold_ua + share * (self.max_ua - self.threshold_ua)


def choose_pairs(
    x_mm: F64, y_mm: F64, slot: npt.NDArray[np.uint8], usable: Sequence[int], seed: int
) -> list[list[tuple[int, int]]]:
    """Return pairs of ``usable`` electrodes that share a slot, grouped by distance, nearest first."""
    random, u = np.random.default_rng(seed), np.asarray(usable, int)
    bins: dict[int, list[tuple[int, int]]] = {}
    distance = np.hypot(x_mm[u, None] - x_mm[u], y_mm[u, None] - y_mm[u])
    together = (slot[u, None] == slot[u]) & (distance > 0) & (distance < REACH_MM)
    for i, j in np.argwhere(together):
        bins.setdefault(round(distance[i, j] / BIN_MM), []).append((int(u[i]), int(u[j])))
    chosen = []
    for _, pairs in sorted(bins.items())[:MOST_BINS]:
        order = random.permutation(len(pairs))[:PAIRS_A_BIN]
        chosen.append([pairs[k] for k in order])
    return chosen


def measure_crosstalk(
    record: Record,
    sites: Mapping[int, Site],
    fraction: Sequence[float],
    groups: Sequence[Sequence[tuple[int, int]]],
    x_mm: F64,
    y_mm: F64,
) -> Crosstalk | None:
    """Return shares by distance; ``None`` where the array does not record.

    ``record(listener, currents)`` drives the electrodes of ``currents`` (uA) together and returns the rate at the
    listener in Hz; ``groups`` are as ``choose_pairs`` gives them.
    """
    places, shares = [], []
    for group in groups:
        measured = []
        for one, other in group:
            site, neighbour = sites[one], sites[other].driven_ua
            alone = record(one, {one: site.driven_ua})
            both = record(one, {one: site.driven_ua, other: neighbour})
            if alone is None or both is None:
                return None
            added_ua = site.current_ua(both, fraction) - site.current_ua(alone, fraction)
            measured.append((float(np.hypot(x_mm[one] - x_mm[other], y_mm[one] - y_mm[other])), added_ua / neighbour))
        distance, share = np.median(measured, axis=0)
        places.append(round(float(distance), 4))
        shares.append(float(share))
    falling = rising(shares[::-1])[::-1]
    return Crosstalk(distance_mm=tuple(places), share=falling, pairs=sum(len(group) for group in groups))
