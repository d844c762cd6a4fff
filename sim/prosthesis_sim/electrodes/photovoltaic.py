"""Photovoltaic subretinal chips: hexagonal pixels that turn pulsed near-infrared light into current themselves."""

from __future__ import annotations

import math

from prosthesis_sim.electrodes.geometry import Geometry, disc_um2, grid, outside, points
from prosthesis_sim.electrodes.grids import hexagonal_within

PRIMA_PIXEL_UM = 100.0
# the first and last pixel of each row of the cut chip
PRIMA_SPANS = (
    *((4, 15), (2, 16), (1, 17), (0, 17), (1, 18), (0, 18), (0, 18), (0, 18), (0, 18), (0, 18), (0, 18)),
    *((0, 18), (0, 18), (0, 17), (0, 18), (0, 17), (0, 17), (0, 16), (1, 16), (1, 15), (2, 15), (3, 13)),
)


def prima378() -> Geometry:
    """Return PRIMA's pixels, of the feasibility and the pivotal trial alike, as rows of equal height.

    Seen a quarter turn clockwise from pulse2percept's drawing; how a chip lies under the fovea is the surgeon's.
    """
    pitch = (PRIMA_PIXEL_UM, round(PRIMA_PIXEL_UM * math.sqrt(3) / 2, 1))
    return Geometry(
        grid(22, 19, pitch, PRIMA_PIXEL_UM / 2, outside(PRIMA_SPANS, 19)),
        disc_um2(28),
        0.0,
        (
            "Holz et al. 2026 and Palanker et al. 2020, as cited by pulse2percept's PRIMAPivotal"
            " (378 pixels, 100 um, 2 x 2 mm)",
        ),
    )


def chip(pixel_um: float, electrode_um: float, chip_um: float) -> Geometry:
    """Return the whole pixels of a round chip ``chip_um`` across, in the manner of the published research chips."""
    sites = hexagonal_within((chip_um - pixel_um) / 2, pixel_um)
    return Geometry(
        points(sites),
        disc_um2(electrode_um),
        0.0,
        ("Ho et al. 2019; Huang et al. 2021 (hexagonal pixels of 20 to 55 um on chips of 1 to 1.5 mm)",),
    )
