"""Argus I and II: epiretinal platinum discs."""

from __future__ import annotations

from prosthesis_sim.electrodes.geometry import Geometry, disc_um2, grid


def argus1() -> Geometry:
    """Return 4 x 4 discs of two sizes, as a checkerboard that starts with a small one."""
    small, large = disc_um2(250), disc_um2(500)
    return Geometry(
        grid(4, 4, (800, 800)),
        tuple(small if (row + column) % 2 == 0 else large for row in range(4) for column in range(4)),
        0.0,
        (
            "Yue et al. 2020, as cited by pulse2percept's ArgusI (4 x 4, 800 um pitch, 250 and 500 um discs)",
            "Horsager et al. 2009 (the same discs as 260 and 520 um)",
        ),
    )


def argus2() -> Geometry:
    """Return 6 x 10 discs."""
    return Geometry(
        grid(6, 10, (575, 575)),
        disc_um2(225),
        0.0,
        ("Yue et al. 2020, as cited by pulse2percept's ArgusII (6 x 10, 225 um discs, 575 um pitch)",),
    )
