"""What a family module says of an array: its layout, and the size and depth of its contacts, with sources.

Coordinates as in the YAML files under ``hardware_configs/implants``: um from the array's centre, x along the map's
first axis, y towards the upper visual field. Depth grows into the tissue. pulse2percept's y grows the other way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from prosthesis.config import GridLayout, PointsLayout


@dataclass(frozen=True, slots=True)
class Geometry:
    """One array as published; ``area_um2`` and ``depth_um`` are one number for all contacts, or one each."""

    layout: GridLayout | PointsLayout
    area_um2: float | tuple[float, ...]
    depth_um: float | tuple[float, ...]
    sources: tuple[str, ...]


def disc_um2(diameter_um: float) -> float:
    """Return a disc's area in whole um2."""
    return float(round(math.pi / 4 * diameter_um**2))


def grid(
    rows: int, columns: int, pitch_um: tuple[float, float], stagger_um: float = 0.0, omit: Sequence[int] = ()
) -> GridLayout:
    """Return a grid layout; ``pitch_um`` is (x, y)."""
    return GridLayout(
        type="grid", rows=rows, columns=columns, pitch_um=pitch_um, stagger_um=stagger_um, omit=tuple(omit)
    )


def points(xy_um: Sequence[tuple[float, float]]) -> PointsLayout:
    """Return a layout of listed points, to a tenth of a um."""
    return PointsLayout(type="points", xy_um=tuple((round(x, 1), round(y, 1)) for x, y in xy_um))


def outside(spans: Sequence[tuple[int, int]], columns: int) -> tuple[int, ...]:
    """Return the places a grid omits when row ``r`` has contacts only from ``spans[r][0]`` to ``spans[r][1]``."""
    return tuple(
        row * columns + column
        for row, (first, last) in enumerate(spans)
        for column in range(columns)
        if not first <= column <= last
    )
