"""Generic grids: rectangles, staggered rows, and the part of a hexagonal lattice within a circle."""

from __future__ import annotations

import math

from prosthesis_sim.electrodes.geometry import Geometry, disc_um2, grid, points

CHOSEN = ("chosen: a generic grid, no published part",)


def rectangular(rows: int, columns: int, pitch_um: float, diameter_um: float, depth_um: float = 0.0) -> Geometry:
    """Return discs in a square lattice."""
    return Geometry(grid(rows, columns, (pitch_um, pitch_um)), disc_um2(diameter_um), depth_um, CHOSEN)


def hexagonal(rows: int, columns: int, pitch_um: float, diameter_um: float, depth_um: float = 0.0) -> Geometry:
    """Return discs in staggered rows, each ``pitch_um`` from its six neighbours."""
    pitch = (pitch_um, round(pitch_um * math.sqrt(3) / 2, 1))
    return Geometry(grid(rows, columns, pitch, pitch_um / 2), disc_um2(diameter_um), depth_um, CHOSEN)


def hexagonal_within(radius_um: float, pitch_um: float) -> list[tuple[float, float]]:
    """Return a hexagonal lattice's sites within ``radius_um`` of one of them, row by row from the upper left."""
    row_um, reach = pitch_um * math.sqrt(3) / 2, math.ceil(radius_um / pitch_um) + 1
    sites = [
        ((column + (row % 2) / 2) * pitch_um, row * row_um)
        for row in range(2 * reach, -2 * reach - 1, -1)
        for column in range(-reach, reach + 1)
    ]
    return [site for site in sites if math.hypot(*site) <= radius_um * (1 + 1e-9)]


def hexagonal_disc(radius_um: float, pitch_um: float, diameter_um: float, depth_um: float = 0.0) -> Geometry:
    """Return discs on a hexagonal lattice's sites within a circle."""
    return Geometry(points(hexagonal_within(radius_um, pitch_um)), disc_um2(diameter_um), depth_um, CHOSEN)


def grid100() -> Geometry:
    """Return the shipped example of a rectangle: 10 x 10 contacts of 50 um, 0.5 mm apart, 1.5 mm deep."""
    return rectangular(10, 10, 500, 50, 1500)


def hex100() -> Geometry:
    """Return the shipped example of staggered rows: as ``grid100``, hexagonal."""
    return hexagonal(10, 10, 500, 50, 1500)
