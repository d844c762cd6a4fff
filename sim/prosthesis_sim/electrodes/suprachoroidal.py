"""The suprachoroidal arrays of Bionic Vision Australia and Technologies: platinum discs behind the choroid."""

from __future__ import annotations

from prosthesis_sim.electrodes.geometry import Geometry, disc_um2, grid, points

HALF_UM, ROW_UM = 425.0, 760.0
# contacts 1 to 20 lie in four bent columns of five, in half pitches from the array's origin
FIRST_ROW = (3, 1, -1, -3)
# 21a to 21m go round them, in half pitches and rows; usually joined into one return
RING = (
    *((2, 3), (0, 3), (-2, 3), (-4, 3), (-5, 2), (-6, 1), (-5, 0), (-6, -1), (-5, -2)),
    *((-4, -3), (-2, -3), (0, -3), (2, -3)),
)
SMALL = (9, 17, 19)


def suprachoroidal33() -> Geometry:
    """Return the 33 discs of the 24-channel array as published for a right eye, 1 to 20 and 21a to 21m."""
    columns = [(start - row % 2, 2 - row) for start in FIRST_ROW for row in range(5)]
    xy = [(half * HALF_UM, -row * ROW_UM) for half, row in (*columns, *RING)]
    return Geometry(
        points(xy),
        tuple(disc_um2(400 if number in SMALL else 600) for number in range(1, 34)),
        0.0,
        ("Layton et al. 2014, as cited by pulse2percept's Suprachoroidal24 (30 discs of 600 um, 3 of 400 um)",),
    )


def suprachoroidal44() -> Geometry:
    """Return the 44 discs of the 44-channel array as published for a right eye, row by row, without its returns."""
    return Geometry(
        grid(7, 7, (1320, 925), -660, omit=(6, 20, 21, 34, 48)),
        disc_um2(1000),
        0.0,
        ("Petoe et al. 2021, as cited by pulse2percept's Suprachoroidal44 (44 discs of 1 mm, 1320 x 925 um)",),
    )
