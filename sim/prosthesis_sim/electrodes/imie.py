"""IMIE 256: epiretinal discs, eight of them smaller."""

from __future__ import annotations

from prosthesis_sim.electrodes.geometry import Geometry, disc_um2, points

PITCH_UM = 350.0
ROWS, COLUMNS = 14, 19
# the first and last contact of each row
SPANS = ((2, 16), (1, 18), (0, 18), *[(0, 18)] * 8, (0, 18), (1, 18), (2, 16))
SMALL = {(0, 15), (0, 16), (13, 15), (13, 16), (2, 0), (3, 0), (10, 0), (11, 0)}
# of each small pair, the outer one lies a seventh of the pitch nearer to the inner
PULLED_UM = {(0, 16): (-50.0, 0.0), (13, 16): (-50.0, 0.0), (2, 0): (0.0, -50.0), (11, 0): (0.0, 50.0)}


def imie256() -> Geometry:
    """Return the discs row by row."""
    places = [(row, column) for row, (first, last) in enumerate(SPANS) for column in range(first, last + 1)]
    xy = []
    for row, column in places:
        dx, dy = PULLED_UM.get((row, column), (0.0, 0.0))
        xy.append(((column - (COLUMNS - 1) / 2) * PITCH_UM + dx, ((ROWS - 1) / 2 - row) * PITCH_UM + dy))
    return Geometry(
        points(xy),
        tuple(disc_um2(160) if place in SMALL else disc_um2(210) for place in places),
        0.0,
        ("Xu et al. 2021, as cited by pulse2percept's IMIE (248 discs of 210 um, 8 of 160 um, 350 um pitch)",),
    )
