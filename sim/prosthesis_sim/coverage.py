"""How much of the visual field an array reaches, from where its phosphenes are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from prosthesis_sim.electrodes import ElectrodeArray
from prosthesis_sim.retinotopy import Hemisphere

F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
SAMPLES = 201


class FieldMap(Protocol):
    """What coverage asks of a retinotopy."""

    def to_field(self, u_mm: Any, v_mm: Any, hemisphere: Hemisphere) -> tuple[Any, Any]:
        """Return x_deg, y_deg."""

    def magnification(self, x_deg: Any, y_deg: Any) -> Any:
        """Return mm of tissue per degree."""

    def inside(self, u_mm: Any, v_mm: Any) -> Any:
        """Return whether places lie in the map."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """An array's phosphenes by electrode index: ``x_deg``, ``y_deg``, ``radius_deg`` f64[n], NaN outside the map.

    An electrode outside the map keeps its index; ``inside`` bool[n] says which these are. ``share`` is how much of the
    disc of ``within_deg`` round the fovea, both half fields of it, lies in a phosphene.
    """

    x_deg: F64
    y_deg: F64
    radius_deg: F64
    inside: Mask
    within_deg: float
    share: float

    @property
    def electrodes_inside(self) -> int:
        """How many electrodes lie in the map."""
        return int(self.inside.sum())

    @property
    def extent_deg(self) -> tuple[float, float, float, float]:
        """Leftmost, rightmost, lowest and highest phosphene; NaN when there is none."""
        if not self.inside.any():
            return (float("nan"),) * 4
        x, y = self.x_deg[self.inside], self.y_deg[self.inside]
        return float(x.min()), float(x.max()), float(y.min()), float(y.max())

    @property
    def eccentricity_deg(self) -> tuple[float, float]:
        """The nearest and the farthest phosphene from the fovea; NaN when there is none."""
        if not self.inside.any():
            return float("nan"), float("nan")
        r = np.hypot(self.x_deg, self.y_deg)[self.inside]
        return float(r.min()), float(r.max())


def coverage(array: ElectrodeArray, retinotopy: FieldMap, within_deg: float, spread_mm: float) -> Coverage:
    """Return the coverage when each electrode lights the tissue ``spread_mm`` around it.

    A phosphene's radius is the spread over the map's magnification at its place, as the World draws it.
    """
    inside = np.asarray(retinotopy.inside(array.u_mm, array.v_mm), dtype=bool)
    x, y, radius = (np.full(len(inside), np.nan) for _ in range(3))
    x[inside], y[inside] = retinotopy.to_field(array.u_mm[inside], array.v_mm[inside], array.hemisphere)
    radius[inside] = spread_mm / retinotopy.magnification(x[inside], y[inside])
    share = covered_share(x[inside], y[inside], radius[inside], within_deg)
    return Coverage(x, y, radius, inside, within_deg, share)


def covered_share(x_deg: F64, y_deg: F64, radius_deg: F64, within_deg: float) -> float:
    """Return the share of the disc of ``within_deg`` round the fovea that lies in any phosphene, by sampling it.

    >>> one = np.array([0.0]), np.array([0.0]), np.array([5.0])  # a phosphene of 5 degrees where one looks
    >>> round(covered_share(*one, within_deg=10), 2)
    0.25
    """
    axis = (np.arange(SAMPLES) + 0.5) * (2 * within_deg / SAMPLES) - within_deg
    disc = axis[:, None] ** 2 + axis[None, :] ** 2 <= within_deg**2
    lit = np.zeros_like(disc)
    for x, y, radius in zip(x_deg, y_deg, radius_deg, strict=True):
        # only the samples in the phosphene's own square
        columns = slice(*np.searchsorted(axis, (x - radius, x + radius)))
        rows = slice(*np.searchsorted(axis, (y - radius, y + radius)))
        lit[rows, columns] |= (axis[rows, None] - y) ** 2 + (axis[None, columns] - x) ** 2 <= radius**2
    return float((lit & disc).sum() / disc.sum())
