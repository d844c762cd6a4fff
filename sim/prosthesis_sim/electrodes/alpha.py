"""Alpha-IMS and Alpha-AMS: subretinal chips of photodiodes, each with an amplifier and an electrode of its own."""

from __future__ import annotations

from prosthesis_sim.electrodes.geometry import Geometry, disc_um2, grid

# the places of the 39 x 39 grid that make 1500: the end of the last two columns
IMS_OMIT = tuple(row * 39 + column for row in range(28, 39) for column in (37, 38) if (row, column) != (28, 37))


def alpha_ims1500() -> Geometry:
    """Return square contacts; another source speaks of 38 x 40 places."""
    return Geometry(
        grid(39, 39, (72, 72), omit=IMS_OMIT),
        2500.0,
        0.0,
        ("Stingl et al. 2013, as cited by pulse2percept's AlphaIMS (1500 pixels, 50 um squares, 72 um pitch)",),
    )


def alpha_ams1600() -> Geometry:
    """Return round contacts."""
    return Geometry(
        grid(40, 40, (70, 70)),
        disc_um2(30),
        0.0,
        ("Stingl et al. 2017, as cited by pulse2percept's AlphaAMS (40 x 40 pixels, 30 um discs, 70 um pitch)",),
    )
