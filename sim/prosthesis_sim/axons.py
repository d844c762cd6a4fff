"""Where nerve fibres run on the retina (Jansonius et al. 2009), and along which each pixel's ganglion cells send.

All bundles are traced once; a pixel then takes the bundle that passes nearest, so that it needs two indices and one
distance, not an axon of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numba
import numpy as np
import numpy.typing as npt

from prosthesis.errors import ConfigError
from prosthesis_sim.retinotopy import Hemisphere

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
TILE_UM = 100.0


class Retina(Protocol):
    """``LinearRetina`` or ``WatsonRetina``."""

    def to_tissue(self, x_deg: Any, y_deg: Any, hemisphere: Hemisphere) -> tuple[Any, Any]:
        """Return u_mm, v_mm."""


@dataclass(frozen=True, slots=True)
class Jansonius:
    """The bundles' course, in degrees of retina: phi(r) = phi0 + b (r - r0)^c around the optic disc.

    ``disc_deg`` is the disc's centre (nasal, superior) from the fovea, ``disc_radius_deg`` is r0, where bundles begin;
    ``bundles`` spread evenly over phi0, each followed to ``reach_deg`` from the disc in ``points`` steps. Bundles
    within 60 degrees of the nasal meridian were not measured.
    """

    disc_deg: tuple[float, float] = (15.5, 1.5)
    disc_radius_deg: float = 4.0
    reach_deg: float = 50.0
    bundles: int = 1000
    points: int = 500

    def trace(self) -> tuple[F64, F64, npt.NDArray[np.bool_]]:
        """Return nasal and superior degrees f64[bundles, points] from the disc outward, and which points count.

        A bundle ends where it meets the line from the disc through the fovea: the raphe. Superior bundles follow
        eqs. 3 and 5, inferior ones eqs. 4 and 6.
        """
        phi0 = np.linspace(-180, 180, self.bundles)[:, None]
        r = np.linspace(self.disc_radius_deg, self.reach_deg, self.points)
        superior = phi0 > 0
        up, down = (phi0 - 121) / 14, (-phi0 - 90) / 25
        b = np.where(superior, np.exp(-1.9 - 3.9 * np.tanh(up)), -np.exp(0.5 - 1.5 * np.tanh(down)))
        c = np.where(superior, 1.9 + 1.4 * np.tanh(up), 1 + 0.5 * np.tanh(down))
        phi = np.deg2rad(phi0 + b * (r - self.disc_radius_deg) ** c)
        x, y = r * np.cos(phi), r * np.sin(phi)
        counts = np.logical_and.accumulate(np.where(superior, y >= 0, y <= 0), axis=1)
        nasal = x + self.disc_deg[0]
        # appendix A: the line from the disc sinks to the fovea
        return nasal, y + self.disc_deg[1] * np.where(nasal > 0, nasal / self.disc_deg[0], 0.0) ** 2, counts


@dataclass(frozen=True, slots=True)
class Axons:
    """Points along bundles, and for every pixel the run of them that its axon is.

    ``x_um``, ``y_um`` f32[k] are places, ``arc_um`` f32[k] how far along its bundle from the disc; pixel p's axon are
    points ``first[p]`` .. ``last[p]`` i32[h, w], the last of them nearest the pixel, ``away_um`` f32[h, w] from it. So
    the way from the pixel to point k is away + arc[last] - arc[k]. Where ``first`` > ``last`` no axon comes near.
    """

    x_um: F32
    y_um: F32
    arc_um: F32
    first: I32
    last: I32
    away_um: F32


def axons(
    retina: Retina, hemisphere: Hemisphere, x_deg: F64, y_deg: F64, reach_um: float, course: Jansonius | None = None
) -> Axons:
    """Return the axons of pixels at ``x_deg``, ``y_deg`` f64[h, w], followed for ``reach_um`` toward the disc.

    ``hemisphere`` is the eye. The disc lies in its temporal field and, superior on the retina, 1.5 degrees *below* the
    horizon of the field.
    """
    nasal, superior, counts = (course or Jansonius()).trace()
    temporal_field = 1.0 if hemisphere == "right" else -1.0
    u, v = retina.to_tissue(temporal_field * nasal[counts], -superior[counts], hemisphere)
    x, y = u * 1e3, v * 1e3
    points = counts.sum(axis=1)
    begins = (np.cumsum(points) - points)[points > 0]
    step = np.hypot(np.diff(x, prepend=x[:1]), np.diff(y, prepend=y[:1]))
    # one arc for all bundles, with gaps wider than any reach, so that one search finds where each axon begins
    step[begins] = 1e6 + reach_um
    arc = np.cumsum(step)
    u, v = retina.to_tissue(x_deg, y_deg, hemisphere)
    last, away = nearest(x, y, np.ravel(u) * 1e3, np.ravel(v) * 1e3)
    first = np.searchsorted(arc, arc[last] + away - reach_um, side="right")
    arc -= np.repeat(arc[begins], points[points > 0])
    near = first <= last
    if not near.any():
        raise ConfigError("key 'screen.part': no nerve fibre of this eye runs there; move it toward the fovea")
    used, index = _used(first[near], last[near], len(x))
    return Axons(
        x[used].astype(np.float32),
        y[used].astype(np.float32),
        arc[used].astype(np.float32),
        np.where(near, index[np.minimum(first, last)], 1).astype(np.int32).reshape(x_deg.shape),
        np.where(near, index[last], 0).astype(np.int32).reshape(x_deg.shape),
        away.astype(np.float32).reshape(x_deg.shape),
    )


def _used(first: I64, last: I64, n: int) -> tuple[npt.NDArray[np.bool_], I64]:
    """Return which of n points lie in any run first..last, and each one's index among those."""
    change = np.bincount(first, minlength=n + 1) - np.bincount(last + 1, minlength=n + 1)
    used = np.cumsum(change)[:-1] > 0
    return used, np.cumsum(used) - 1


@dataclass(frozen=True, slots=True)
class Tiles:
    """Points sorted by square tiles of ``TILE_UM``, so that those in a row of tiles lie next to one another.

    ``order`` i64[k] is the points' index in that order, ``start`` i64[rows, columns + 1] where each tile begins; the
    first tile's corner is at ``left_um``, ``low_um``.
    """

    order: I64
    start: I64
    left_um: float
    low_um: float


def tiles(x_um: npt.NDArray[Any], y_um: npt.NDArray[Any]) -> Tiles:
    """Sort points into tiles."""
    left, low = float(x_um.min()), float(y_um.min())
    column = ((x_um - left) / TILE_UM).astype(np.int64)
    row = ((y_um - low) / TILE_UM).astype(np.int64)
    rows, columns = int(row.max()) + 1, int(column.max()) + 1
    tile = row * columns + column
    ends = np.concatenate(([0], np.cumsum(np.bincount(tile, minlength=rows * columns))))
    begin = np.arange(rows)[:, None] * columns + np.arange(columns + 1)
    return Tiles(np.argsort(tile, kind="stable"), ends[begin], left, low)


def nearest(x_um: F64, y_um: F64, at_x_um: F64, at_y_um: F64) -> tuple[I64, F64]:
    """Return for each of the places ``at`` the index of the nearest point, and its distance in um."""
    t = tiles(x_um, y_um)
    index, distance = _nearest(x_um[t.order], y_um[t.order], t.start, t.left_um, t.low_um, at_x_um, at_y_um)
    return t.order[index], distance


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _nearest(x: F64, y: F64, start: I64, left: float, low: float, at_x: F64, at_y: F64) -> tuple[I64, F64]:
    """Search rings of tiles around each place until no nearer point can be outside."""
    rows, columns = start.shape[0], start.shape[1] - 1
    index = np.empty(len(at_x), np.int64)
    distance = np.empty(len(at_x))
    for p in range(len(at_x)):
        row = min(max(math.floor((at_y[p] - low) / TILE_UM), 0), rows - 1)
        column = min(max(math.floor((at_x[p] - left) / TILE_UM), 0), columns - 1)
        best, found, ring = np.inf, 0, 0
        # all within `ring` tiles' width has been seen once the ring is done
        while best > ((ring - 1) * TILE_UM) ** 2 and ring <= max(rows, columns):
            for i in range(max(row - ring, 0), min(row + ring, rows - 1) + 1):
                whole = abs(i - row) == ring
                for j in range(column - ring, column + ring + 1, 1 if whole or ring == 0 else 2 * ring):
                    if j < 0 or j >= columns:
                        continue
                    for k in range(start[i, j], start[i, j + 1]):
                        d = (x[k] - at_x[p]) ** 2 + (y[k] - at_y[p]) ** 2
                        if d < best:
                            best, found = d, k
            ring += 1
        index[p], distance[p] = found, math.sqrt(best)
    return index, distance
