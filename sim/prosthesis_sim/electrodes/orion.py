"""Orion: sixty platinum discs on the surface of the medial occipital lobe."""

from __future__ import annotations

import math

from prosthesis_sim.electrodes.geometry import Geometry, disc_um2, grid, outside

NEIGHBOUR_UM, COLUMN_UM = 3000.0, 4200.0
ROW_UM = round(math.sqrt(NEIGHBOUR_UM**2 - (COLUMN_UM / 2) ** 2), 1)
# the sheet is cut away at its lower left, and one disc of its first row is missing
SPANS = ((0, 5), (0, 6), (0, 6), (0, 6), (0, 6), (1, 6), (1, 6), (2, 6), (2, 6), (3, 6))


def orion60() -> Geometry:
    """Return the discs row by row; their published numbers count down from 96 to 37."""
    return Geometry(
        grid(10, 7, (COLUMN_UM, ROW_UM), -COLUMN_UM / 2, outside(SPANS, 7)),
        disc_um2(2000),
        0.0,
        ("pulse2percept orion.py (60 discs of 2 mm, staggered rows 2.14 mm apart, 3 mm to the nearest)",),
    )
