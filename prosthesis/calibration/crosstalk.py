"""Measure what neighbours add: drive an electrode alone, then with a ring of its raster slot, and record at its site.

By the electrode's own calibrated curve, the rate that the ring adds is worth so much current; that over the ring's
currents is their share. A ring is all of one slot at about one distance: together they stand out from the noise, which
is the pulse more or less that a train may hold. The median over several electrodes is taken (one whose current has few
steps has a rough curve); one within twice its standard error is nothing; and shares are made to fall with distance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prosthesis.calibration.curves import rising
from prosthesis.calibration.table import BelowThreshold, Crosstalk

F64 = npt.NDArray[np.float64]
Record = Callable[[int, Mapping[int, float]], "float | None"]

REACH_MM = 3.0
RING_MM = 0.3
BELOW = (0.25, 0.5, 0.625, 0.75, 0.875)
LISTENERS, MOST_IN_RING = 8, 6
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


@dataclass(frozen=True, slots=True)
class Ring:
    """A listener, and neighbours of its slot that are all about as far from it."""

    listener: int
    neighbours: tuple[int, ...]
    distance_mm: float


def choose_rings(
    x_mm: F64, y_mm: F64, slot: npt.NDArray[np.uint8], usable: Sequence[int], seed: int
) -> list[list[Ring]]:
    """Return rings of ``usable`` electrodes, grouped by distance, nearest first."""
    random, u = np.random.default_rng(seed), np.asarray(usable, int)
    distance = np.hypot(x_mm[u, None] - x_mm[u], y_mm[u, None] - y_mm[u])
    together = (slot[u, None] == slot[u]) & (distance > 0) & (distance < REACH_MM)
    bins: dict[int, list[Ring]] = {}
    for i in random.permutation(len(u)):
        ring = np.round(distance[i] / RING_MM).astype(int)
        for number in np.unique(ring[together[i]]):
            group = bins.setdefault(int(number), [])
            members = random.permutation(np.flatnonzero(together[i] & (ring == number)))[:MOST_IN_RING]
            if len(group) < LISTENERS:
                group.append(Ring(int(u[i]), tuple(int(m) for m in u[members]), float(distance[i, members].mean())))
    return [group for _, group in sorted(bins.items())]


def measure_below(
    record: Record, sites: Mapping[int, Site], curves: Sequence[Sequence[float]]
) -> BelowThreshold | None:
    """Return the activity of every site below its threshold; ``None`` where the array does not record.

    ``curves`` are all electrodes' activity from threshold on; a site that is not in ``sites`` gets zeros.
    """
    rows = [(0.0,) * len(BELOW)] * len(curves)
    for electrode, site in sites.items():
        found = [record(electrode, {electrode: share * site.threshold_ua}) for share in BELOW]
        if None in found:
            return None
        least = site.activity[0]
        activity = rising([rate / max(site.evoked_hz, 1e-9) for rate in found if rate is not None])
        rows[electrode] = tuple(min(value, least) for value in activity)
    return BelowThreshold(fraction=BELOW, activity=tuple(rows))


def measure_crosstalk(
    record: Record, sites: Mapping[int, Site], fraction: Sequence[float], groups: Sequence[Sequence[Ring]]
) -> Crosstalk | None:
    """Return shares by distance; ``None`` where the array does not record.

    ``record(listener, currents)`` drives the electrodes of ``currents`` (uA) together and returns the rate at the
    listener in Hz; ``groups`` are as ``choose_rings`` gives them.
    """
    places, shares = [], []
    for group in groups:
        measured = []
        for ring in group:
            site = sites[ring.listener]
            own = {ring.listener: site.driven_ua}
            others = {i: sites[i].driven_ua for i in ring.neighbours}
            alone, all_together = record(ring.listener, own), record(ring.listener, {**own, **others})
            if alone is None or all_together is None:
                return None
            added_ua = site.current_ua(all_together, fraction) - site.current_ua(alone, fraction)
            measured.append((ring.distance_mm, added_ua / sum(others.values())))
        distance, share = np.median(measured, axis=0)
        places.append(round(float(distance), 4))
        shares.append(float(share) if share > _noise(np.asarray(measured)[:, 1]) else 0.0)
    falling = rising(shares[::-1])[::-1]
    return Crosstalk(distance_mm=tuple(places), share=falling, trials=2 * sum(len(group) for group in groups))


def _noise(values: F64) -> float:
    """Return twice the standard error of a median, sqrt(pi / 2) of a mean's; 0 where one value tells nothing of it."""
    if len(values) < 2:
        return 0.0
    return float(2 * np.sqrt(np.pi / 2 / len(values)) * values.std(ddof=1))
